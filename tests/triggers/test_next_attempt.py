# SPDX-License-Identifier: Apache-2.0
"""The pause between two attempts of a collection's tokens, in the triggerer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_provider_alchemy.triggers.wait import NextAttemptTrigger
from tests.tasks.lives import fire, rebuilt


@pytest.mark.parametrize("seconds", [-1e6, 0, 0.2])
def test_it_sends_one_event_when_the_time_has_come(seconds: float) -> None:
    due_at = datetime.now(UTC) + timedelta(seconds=seconds)

    assert fire(NextAttemptTrigger(due_at.isoformat())) == {"status": "due"}

    assert datetime.now(UTC) >= due_at


def test_it_survives_the_database_and_a_restart_does_not_begin_anew() -> None:
    trigger = NextAttemptTrigger("2027-01-15T08:00:00+00:00")

    assert rebuilt(trigger).serialize() == trigger.serialize()
