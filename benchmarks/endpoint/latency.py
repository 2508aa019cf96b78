"""How long an answer takes."""

from __future__ import annotations

from math import exp
from statistics import NormalDist

from benchmarks.endpoint.config import Config
from benchmarks.endpoint.draws import draw

_SALT = 1
_quantile = NormalDist().inv_cdf


def service_s(config: Config, key: int, n: int) -> float:
    """Seconds for the prompt's n-th request; a hedged second request draws anew."""
    seconds = config.latency_ms / 1000
    if config.latency_sigma:
        seconds *= exp(config.latency_sigma * _quantile(draw(key, n, _SALT + 8 * config.seed)))
    return seconds
