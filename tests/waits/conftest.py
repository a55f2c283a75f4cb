# SPDX-License-Identifier: Apache-2.0
"""Time that passes only where everything sleeps, and an emulator for what has to be real."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import time_machine

from airflow_provider_alchemy.testing import AlchemyEmulator

from .service import LOG, NOW, SUBJECT, Clock, Lines


@pytest.fixture
def clock() -> Iterator[Clock]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield Clock(traveller)


@pytest.fixture
def emulator() -> Iterator[AlchemyEmulator]:
    with AlchemyEmulator(units_per_second=None) as running:
        yield running


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Lines:
    """Give the lines of one level, without the subject."""
    caplog.set_level(logging.DEBUG, LOG.name)

    def of_level(level: int) -> list[str]:
        records = [record for record in caplog.records if record.levelno == level]
        return [record.getMessage().removeprefix(f"{SUBJECT}: ") for record in records]

    return of_level
