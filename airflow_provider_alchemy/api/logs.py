# SPDX-License-Identifier: Apache-2.0
"""The log that waits speak to: a task's or a trigger's where Airflow runs, any logger elsewhere."""

from __future__ import annotations

from typing import Any, Protocol


class Log(Protocol):
    """What waits write to; Airflow's task logs and ``logging.Logger`` are of this shape."""

    def debug(self, msg: str, /, *args: Any) -> Any:
        """Log what only a developer wants to know."""

    def info(self, msg: str, /, *args: Any) -> Any:
        """Log progress."""

    def warning(self, msg: str, /, *args: Any) -> Any:
        """Log what may need attention."""


def plural(number: int, noun: str) -> str:
    """Give a number with its noun: ``1 token``, ``2,000 tokens``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def log_unreadable(log: Log, subject: str, entries: int, *, is_first: bool) -> None:
    """Log entries of an answer that name no token; the first answer that has some is a warning."""
    write = log.warning if is_first else log.debug
    write("%s: skipping %d of the entries of an answer, which name no token", subject, entries)
