"""Filters: what is kept, what is dropped and why."""
