"""The benchmark harness: `python -m benchmarks` lists what it measures."""
