"""Everything that talks to somebody else's library or server; found by entry point."""
