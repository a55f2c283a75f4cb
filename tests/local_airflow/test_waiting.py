# SPDX-License-Identifier: Apache-2.0

"""The guard of a wait: it counts what the waiter slept while nothing moved, and no clock."""

from __future__ import annotations

from itertools import count

import pytest

from dev.local_airflow import LocalAirflowError
from dev.local_airflow.waiting import STILL_SECONDS, wait_until


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What was slept, which takes no time here."""
    naps: list[float] = []
    monkeypatch.setattr("dev.local_airflow.waiting.time.sleep", naps.append)
    return naps


def test_it_goes_on_as_long_as_something_moves(slept: list[float]) -> None:
    readings = count()

    wait_until(lambda: len(slept) > 10 * STILL_SECONDS, moves=lambda: next(readings), failure=str, interval_seconds=1)


def test_it_ends_when_nothing_moves_any_more(slept: list[float]) -> None:
    with pytest.raises(LocalAirflowError, match=r"It stays red \(nothing moved for 300 seconds\)"):
        wait_until(
            lambda: False, moves=lambda: min(len(slept), 50), failure=lambda: "It stays red", interval_seconds=0.5
        )

    assert sum(slept) == pytest.approx(25 + STILL_SECONDS, abs=2)


def test_a_reading_that_raises_ends_it_at_once(slept: list[float]) -> None:
    def moves() -> None:
        msg = "the scheduler ended by itself"
        raise LocalAirflowError(msg)

    with pytest.raises(LocalAirflowError, match="ended by itself"):
        wait_until(lambda: False, moves=moves, failure=str)
    assert sum(slept) == pytest.approx(1, abs=0.2)


def test_what_is_there_already_is_not_waited_for(slept: list[float]) -> None:
    assert wait_until(lambda: "there", failure=str) == "there"
    assert slept == []
