# SPDX-License-Identifier: Apache-2.0
"""When a wait looks again, and when it gives up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.records import WaitRecord
from airflow_provider_alchemy.api.waiting import RefreshWait

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.errors import AlchemyError

from .waits import NOW, SUBJECT, in_seconds, look, status, wait_with

LIMITS = [("deadline", errors.AlchemyDeadlineError), ("execution_deadline", errors.AlchemyExecutionDeadlineError)]
EACH_LIMIT_AND_ERROR = pytest.mark.parametrize(("limit", "error_type"), LIMITS, ids=["timeout", "execution_timeout"])
EACH_LIMIT = pytest.mark.parametrize("limit", ["deadline", "execution_deadline"], ids=["timeout", "execution_timeout"])
BUSY = errors.AlchemyServerError("Alchemy answered HTTP 503")


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


@EACH_LIMIT_AND_ERROR
@pytest.mark.parametrize("outcome", ["queued", "in_progress", "warming_up", BUSY], ids=str)
def test_a_wait_whose_time_is_over_looks_once_more_and_gives_up(
    limit: str, error_type: type[AlchemyError], outcome: Any
) -> None:
    wait = wait_with(**{limit: in_seconds(0)})
    with pytest.raises(error_type) as caught:
        look(wait, outcome)
    assert type(caught.value) is error_type
    assert wait.record.polls == 1


@EACH_LIMIT
def test_the_last_look_may_find_the_refresh_finished(limit: str) -> None:
    assert look(wait_with(**{limit: in_seconds(-3600)}), "finished").delay_seconds is None


@EACH_LIMIT
def test_the_last_look_may_find_a_failure_that_says_more_than_the_deadline(limit: str) -> None:
    with pytest.raises(errors.AlchemyNoSuchCollectionError):
        look(wait_with(**{limit: in_seconds(-1)}), "does_not_exist")


@EACH_LIMIT_AND_ERROR
def test_nothing_is_submitted_again_after_the_deadline(limit: str, error_type: type[AlchemyError]) -> None:
    with pytest.raises(error_type):
        look(wait_with(max_resubmits=3, **{limit: in_seconds(-1)}), "queue_failed")


@EACH_LIMIT
def test_a_wait_goes_on_until_the_deadline(limit: str) -> None:
    assert look(wait_with(**{limit: in_seconds(3600)}), "queued").delay_seconds == 60


@EACH_LIMIT
@pytest.mark.parametrize("outcome", ["queued", BUSY], ids=["pending", "failure"])
def test_no_sleep_outlasts_the_deadline(limit: str, outcome: Any) -> None:
    assert look(wait_with(**{limit: in_seconds(7.5)}), outcome).delay_seconds == 7.5


def test_no_sleep_before_a_resubmission_outlasts_the_deadline() -> None:
    wait = wait_with(max_resubmits=1, deadline=in_seconds(0.25))
    assert look(wait, "queue_failed").delay_seconds == 0.25


def test_a_new_attempt_of_the_task_pauses_before_it_submits_again_too() -> None:
    wait = wait_with(max_resubmits=2, state="queue_failed", resubmits=1)
    assert 2 <= wait.delay_before_submitting_again() <= 3
    assert wait.record.resubmits == 2


def test_the_nearer_of_two_deadlines_cuts_the_sleep() -> None:
    wait = wait_with(deadline=in_seconds(20), execution_deadline=in_seconds(10))
    assert look(wait, "queued").delay_seconds == 10


def test_where_both_deadlines_are_over_the_tasks_own_timeout_is_named() -> None:
    wait = wait_with(deadline=in_seconds(-1), execution_deadline=in_seconds(-2))
    with pytest.raises(errors.AlchemyDeadlineError, match="when the task's timeout was over"):
        look(wait, "queued")


def test_the_deadline_error_says_how_far_the_refresh_was() -> None:
    with pytest.raises(errors.AlchemyDeadlineError, match=r"still in_progress \(42 %\).*goes on at Alchemy") as caught:
        look(wait_with(deadline=in_seconds(0)), status("in_progress", 42))
    assert caught.value.subject == SUBJECT


def test_the_deadline_error_names_the_failure_of_the_last_look() -> None:
    with pytest.raises(errors.AlchemyDeadlineError, match=r"without an answer .* failed: Alchemy answered HTTP 503"):
        look(wait_with(deadline=in_seconds(0)), BUSY)


def test_the_execution_deadline_error_names_its_limit() -> None:
    with pytest.raises(errors.AlchemyExecutionDeadlineError, match="when the task's execution_timeout was over"):
        look(wait_with(execution_deadline=in_seconds(0)), "queued")


def test_a_deadline_is_a_moment_that_no_restart_moves(clock: time_machine.Traveller) -> None:
    first = wait_with(deadline=in_seconds(90))
    look(first, "queued")
    clock.shift(100)
    record = WaitRecord.read(json.loads(json.dumps(first.record.to_dict())))
    assert record is not None
    with pytest.raises(errors.AlchemyDeadlineError):
        look(RefreshWait(record, subject=SUBJECT, cadence=Cadence()), "queued")


def test_a_look_just_before_the_deadline_is_followed_by_one_at_the_deadline(clock: time_machine.Traveller) -> None:
    wait = wait_with(deadline=in_seconds(61))
    delays = []
    for _ in range(2):
        delays.append(look(wait, "queued").delay_seconds or 0)
        clock.shift(delays[-1])
    assert delays == [60, 1]
    with pytest.raises(errors.AlchemyDeadlineError):
        look(wait, "queued")


def test_the_first_look_comes_after_a_random_part_of_the_interval() -> None:
    wait = wait_with(interval=60)
    delays = {wait.first_delay_seconds() for _ in range(200)}
    assert 0 <= min(delays) < 15
    assert 45 < max(delays) <= 60


def test_the_first_look_comes_no_later_than_the_deadline() -> None:
    wait = wait_with(interval=3600, deadline=in_seconds(2))
    assert max(wait.first_delay_seconds() for _ in range(200)) <= 2


def test_the_first_look_of_a_wait_whose_time_is_over_comes_at_once() -> None:
    assert wait_with(deadline=in_seconds(-5)).first_delay_seconds() == 0


def test_an_exponential_wait_looks_less_and_less_often() -> None:
    wait = wait_with(cadence=Cadence(interval_seconds=60, exponential=True, max_interval_seconds=600))
    delays = [look(wait, "queued").delay_seconds or 0 for _ in range(8)]
    assert delays == sorted(delays)
    assert (30 <= delays[0] <= 60, delays[-1]) == (True, 600)


def test_an_exponential_wait_goes_on_growing_after_a_restart() -> None:
    cadence = Cadence(interval_seconds=60, exponential=True)
    assert (look(wait_with(cadence=cadence, looks=9), "queued").delay_seconds or 0) >= 60 * 2**8


def test_waiting_since_is_the_beginning_of_the_wait() -> None:
    assert wait_with().record.waiting_since == NOW.isoformat()


def test_waiting_since_survives_a_restart(clock: time_machine.Traveller) -> None:
    clock.shift(100)
    assert wait_with(waiting_since=NOW.isoformat()).record.waiting_since == NOW.isoformat()
