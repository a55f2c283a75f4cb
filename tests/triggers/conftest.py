# SPDX-License-Identifier: Apache-2.0
"""What the triggers' tests share: a chain that moves on command, and pauses that are no longer than a test needs."""

from __future__ import annotations

import pytest

from airflow_provider_alchemy.api import chain_stream
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.triggers import chain_places


@pytest.fixture
def chain(emulator: AlchemyEmulator, quick_backoff: None, monkeypatch: pytest.MonkeyPatch) -> AlchemyEmulator:  # noqa: ARG001
    """The emulator with blocks on command only, for streams that wait no longer than a test needs."""

    def short(failures: int, retry_after_seconds: float | None = None) -> float:  # noqa: ARG001 - the real one's
        return 0.02

    monkeypatch.setattr(chain_stream, "JOIN_SECONDS", 0.05)
    monkeypatch.setattr(chain_stream, "backoff_seconds", short)
    monkeypatch.setattr(chain_places, "backoff_seconds", short)
    emulator.configure(block_seconds=None)
    return emulator
