# SPDX-License-Identifier: Apache-2.0
"""Operators whose ``reingestContract`` is gone, at once or in the middle of their wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.tasks.collection import FallbackTask
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.lives import ADDRESS, context_of, fire, once, rebuilt, waiting_operator, was_asked

TOKENS = 250
METADATA, BATCH, PAGE, REINGEST = 160, 480, 600, 480
PRICE = METADATA + 3 * (BATCH + PAGE)

each_status = pytest.mark.parametrize("status", [404, 410, 400])


@pytest.fixture
def collection(emulator: AlchemyEmulator) -> None:
    emulator.set_collection(ADDRESS, tokens=TOKENS)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tries of a token follow each other at once: Alchemy asks for ten seconds."""
    monkeypatch.setattr(FallbackTask, "attempt_interval", 0.0)


def with_tokens(**arguments: Any) -> ReingestContractOperator:
    return waiting_operator(fallback="tokens", **arguments)


@contextmanager
def gone_in_the_middle(emulator: AlchemyEmulator, status: int = 410) -> Iterator[None]:
    """Let the service accept the refresh, and then let the endpoint go."""
    emulator.set_job(ADDRESS, queued_seconds=600)
    with once(was_asked(emulator), lambda: emulator.configure(reingest_gone=status)):
        yield


def lead_from_trigger(task: Any, context: dict[str, Any] | None = None) -> Any:
    """Run a task that starts in the triggerer to its end."""
    event = fire(rebuilt(task.first_trigger()))
    return task.resume_execution("execute_complete", {"event": event}, context_of() if context is None else context)


def reingest_calls(emulator: AlchemyEmulator) -> int:
    return emulator.count("reingestContract")
