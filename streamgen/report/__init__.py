"""The static HTML report of a run's directory."""

from streamgen.report.page import write_report

__all__ = ["write_report"]
