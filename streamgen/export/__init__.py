"""Data sets for trainers: a run's records in any format, and any format in another one."""
