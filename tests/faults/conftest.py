# SPDX-License-Identifier: Apache-2.0
"""What the matrix needs: pauses that are no longer than a cell needs, and everything that is logged meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from airflow_provider_alchemy.chain import stream
from tests.faults.catalogue import Phase
from tests.faults.cells import Lines
from tests.tasks.tokens import short_intervals as short_intervals  # noqa: PLC0414 - a fixture

SHORT_SECONDS = 0.05
_BACK_OFFS = ("api.throttle", "waits.wait", "waits.reingest", "chain.reader", "chain.stream")


@pytest.fixture
def short_pauses(phase: Phase, short_intervals: float, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    """Back off for hundredths of a second, but for what ``Retry-After`` says; and give up soon what stays."""

    def short(failures: int, retry_after_seconds: float | None = None) -> float:  # noqa: ARG001 - the real one's
        return max(SHORT_SECONDS, retry_after_seconds or 0.0)

    for module in _BACK_OFFS:
        monkeypatch.setattr(f"airflow_provider_alchemy.{module}.backoff_seconds", short)
    monkeypatch.setattr(stream, "JOIN_SECONDS", SHORT_SECONDS)
    monkeypatch.setattr(stream, "PERMANENT_RETRY_SECONDS", SHORT_SECONDS)
    if phase is Phase.STAYS:
        monkeypatch.setattr("airflow_provider_alchemy.tokens.refresh.MAX_THROTTLED", timedelta(0))
        monkeypatch.setattr("airflow_provider_alchemy.tokens.refresh.PAGE_ATTEMPTS", 2)
        monkeypatch.setattr("airflow_provider_alchemy.waits.freshness.PAGE_ATTEMPTS", 2)


@pytest.fixture
def lines() -> Iterator[Lines]:
    """Give all that is logged, down to the HTTP libraries' debug lines."""
    root, handler = logging.getLogger(), Lines()
    loggers = [root, *map(logging.getLogger, ("airflow.task", "airflow_provider_alchemy", "urllib3", "aiohttp"))]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Give what was printed: Airflow's tasks log there."""

    def read() -> str:
        captured = capsys.readouterr()
        return captured.out + captured.err

    return read
