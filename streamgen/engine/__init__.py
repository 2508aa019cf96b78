"""The streaming engine: mailboxes, acks, stages, demand. It knows nothing of LLMs."""
