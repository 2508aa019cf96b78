"""Calling models: requests and responses, the endpoint with its limits, retry, budget, prompts."""
