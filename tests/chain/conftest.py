# SPDX-License-Identifier: Apache-2.0
"""Streams over an emulator, closed at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from airflow_provider_alchemy.testing import AlchemyEmulator

from .scenes import Streams


@pytest.fixture
async def streams(chain: AlchemyEmulator) -> AsyncIterator[Streams]:
    opened = Streams(chain)
    yield opened
    await opened.aclose()
