"""The real loop: a local model, a real task, and agents that tune the generator within the same tokens."""
