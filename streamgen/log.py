"""Structured logs, to standard error, with keys masked."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any, cast

import structlog
from structlog.typing import FilteringBoundLogger

from streamgen.masking import mask


def _mask_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: mask(value) if isinstance(value, str) else value for key, value in event.items()}


def get_logger(**values: object) -> FilteringBoundLogger:
    """A logger of the user's structlog configuration, with these values bound."""
    return cast(FilteringBoundLogger, structlog.get_logger("streamgen", **values))


def configure(level: str = "INFO") -> None:
    """What the command line uses: plain lines on standard error. Embedding services keep their own configuration."""
    import sys

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
            _mask_values,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
