"""One script a client. The contract is in contract.py."""
