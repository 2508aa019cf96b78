"""Meta-training of the candidate policy: REINFORCE on simulated tuning problems, in JAX."""
