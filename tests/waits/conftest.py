# SPDX-License-Identifier: Apache-2.0
"""Time that passes only where everything sleeps, and an emulator for what has to be real."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine

from airflow_provider_alchemy.testing import AlchemyEmulator

from .service import NOW, Clock


@pytest.fixture
def clock() -> Iterator[Clock]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield Clock(traveller)


@pytest.fixture
def emulator() -> Iterator[AlchemyEmulator]:
    with AlchemyEmulator(units_per_second=None) as running:
        yield running
