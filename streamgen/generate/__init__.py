"""Generation methods, one a file."""
