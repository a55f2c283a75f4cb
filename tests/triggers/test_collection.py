# SPDX-License-Identifier: Apache-2.0
"""The time between two tries of a collection's tokens, in the triggerer."""

from __future__ import annotations

import asyncio

import pendulum
import pytest

from airflow_provider_alchemy.triggers.collection import NextAttemptTrigger
from tests.tasks.lives import fire, rebuilt


def in_seconds(seconds: float) -> str:
    return pendulum.now("UTC").add(seconds=seconds).isoformat()


def test_it_sends_one_event_when_the_time_has_come() -> None:
    due_at = in_seconds(0.2)

    assert fire(NextAttemptTrigger(due_at)) == {"status": "due"}

    assert pendulum.now("UTC") >= pendulum.parse(due_at)  # type: ignore[operator]


@pytest.mark.parametrize("seconds", [-1e6, 0])
def test_a_moment_that_is_over_is_not_waited_for(seconds: float) -> None:
    assert fire(NextAttemptTrigger(in_seconds(seconds))) == {"status": "due"}


def test_it_survives_the_database_and_a_restart_does_not_begin_anew() -> None:
    trigger = NextAttemptTrigger(in_seconds(60))

    again = rebuilt(trigger)

    assert isinstance(again, NextAttemptTrigger)
    assert again.serialize() == trigger.serialize()


async def test_it_can_be_cancelled() -> None:
    async def first() -> object:
        return [event async for event in NextAttemptTrigger(in_seconds(60)).run()]

    running = asyncio.create_task(first())
    await asyncio.sleep(0)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
