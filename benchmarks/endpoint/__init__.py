"""A mock OpenAI endpoint, fast enough not to be the bottleneck: `python -m benchmarks.endpoint --config JSON`.

config.py says what can be set. A request goes connection.py (HTTP) -> server.py (decides and counts) -> limits.py (may
it?) -> latency.py (how long?) -> faults.py (what goes wrong?) -> answers.py (what is said?) -> counters.py (who paid?).
"""
