# SPDX-License-Identifier: Apache-2.0
"""The log that waits speak to: a task's or a trigger's where Airflow runs, any logger elsewhere."""

from __future__ import annotations

from typing import Any, Protocol


class Log(Protocol):
    """What a wait says; Airflow's task logs and ``logging.Logger`` are of this shape."""

    def debug(self, msg: str, /, *args: Any) -> Any:
        """Say what only a developer wants to know."""

    def info(self, msg: str, /, *args: Any) -> Any:
        """Say what a reader of the log wants to know."""

    def warning(self, msg: str, /, *args: Any) -> Any:
        """Say what a reader of the log should know."""


def plural(number: int, noun: str) -> str:
    """Give a number with its noun: ``1 token``, ``2,000 tokens``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
