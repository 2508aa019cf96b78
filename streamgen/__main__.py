"""`python -m streamgen` is the `streamgen` command."""

from streamgen.cli import main

if __name__ == "__main__":
    main()
