# SPDX-License-Identifier: Apache-2.0
"""The rules of a wait: what each answer and each failure means for it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import time_machine
from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.records import WaitRecord
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES, RefreshWait

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.errors import AlchemyError

from .waits import NOW, SUBJECT, look, status, wait_with

BUSY = errors.AlchemyRateLimitError("Alchemy answered HTTP 429", http_status=429)
NO_HOST = errors.AlchemyHostNotFoundError("host eth-mainnet.g.alchemy.com does not exist")
PENDING = ["queued", "already_queued", "already_queried", "in_progress", "warming_up"]

FINAL = [
    errors.AlchemyAuthenticationError("x"),
    errors.AlchemyQuotaError("x"),
    errors.AlchemyEndpointGoneError("x"),
    errors.AlchemyNetworkError("x"),
    errors.AlchemyRequestError("x"),
    errors.AlchemyConfigurationError("x"),
    errors.AlchemyUnexpectedAnswerError("x"),
    errors.AlchemyError("x"),
]
WAITED_OUT = [
    errors.AlchemyRateLimitError("x"),
    errors.AlchemyServerError("x"),
    errors.AlchemyConnectionError("x"),
    errors.AlchemyTimeoutError("x"),
    errors.AlchemyBadAnswerError("x"),
]


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def of_type(error: AlchemyError) -> str:
    return type(error).__name__


@pytest.mark.parametrize("state", PENDING)
def test_a_pending_refresh_is_looked_at_again_after_the_interval(state: str) -> None:
    assert look(wait_with(), state).delay_seconds == 60


def test_a_finished_refresh_ends_the_wait() -> None:
    wait = wait_with()
    look(wait, "in_progress")
    assert look(wait, "finished").delay_seconds is None
    assert wait.record.finished_at == NOW.isoformat()


def test_a_collection_that_does_not_exist_ends_the_wait_at_once() -> None:
    with pytest.raises(
        errors.AlchemyNoSuchCollectionError, match=r"does_not_exist.*Check the contract address"
    ) as caught:
        look(wait_with(max_resubmits=3), "does_not_exist")
    assert caught.value.subject == SUBJECT


@pytest.mark.parametrize("before", PENDING)
def test_a_collection_that_ceases_to_exist_ends_the_wait(before: str) -> None:
    wait = wait_with()
    look(wait, before)
    with pytest.raises(errors.AlchemyNoSuchCollectionError):
        look(wait, "does_not_exist")


def test_a_refresh_that_could_not_be_queued_fails_where_nobody_resubmits() -> None:
    with pytest.raises(errors.AlchemyQueueFailedError, match=r"\(queue_failed\)\. It may be submitted again") as caught:
        look(wait_with(), "queue_failed")
    assert caught.value.subject == SUBJECT


def test_a_refresh_that_could_not_be_queued_is_submitted_again_with_back_off() -> None:
    wait = wait_with(max_resubmits=3)
    delays = [look(wait, "queue_failed").delay_seconds for _ in range(3)]
    assert [int(delay or 0) for delay in delays] == [1, 2, 4]
    assert wait.must_submit_again


def test_resubmitting_ends_with_the_failure_that_counts_the_submissions() -> None:
    wait = wait_with(max_resubmits=2)
    look(wait, "queue_failed")
    look(wait, "queue_failed")
    with pytest.raises(errors.AlchemyQueueFailedError, match="also after 2 more submissions"):
        look(wait, "queue_failed")


def test_resubmissions_are_counted_over_the_whole_wait() -> None:
    wait = wait_with(max_resubmits=1)
    for state in ("queue_failed", "queued"):
        look(wait, state)
    with pytest.raises(errors.AlchemyQueueFailedError):
        look(wait, "queue_failed")


def test_a_resubmitted_refresh_that_is_queued_need_not_be_submitted_again() -> None:
    wait = wait_with(max_resubmits=1)
    look(wait, "queue_failed")
    look(wait, "queued")
    assert not wait.must_submit_again


def test_finished_at_the_first_answer_may_be_an_earlier_refresh() -> None:
    wait = wait_with()
    look(wait, "finished")
    assert wait.result()["already_finished"] is True


@pytest.mark.parametrize("before", [*PENDING, "queue_failed"])
def test_finished_after_any_other_answer_is_this_refresh(before: str) -> None:
    wait = wait_with(max_resubmits=1)
    look(wait, before)
    look(wait, "finished")
    assert wait.result()["already_finished"] is False


def test_a_failed_look_is_no_answer_so_finished_after_it_may_be_an_earlier_refresh() -> None:
    wait = wait_with()
    look(wait, BUSY)
    look(wait, "finished")
    assert wait.result()["already_finished"] is True


@pytest.mark.parametrize("error", WAITED_OUT, ids=of_type)
def test_the_services_trouble_is_waited_out(error: AlchemyError) -> None:
    wait = wait_with()
    assert look(wait, error).delay_seconds == 60
    assert wait.record.failures == 1


@pytest.mark.parametrize("error", FINAL, ids=of_type)
@pytest.mark.parametrize("before", [None, "in_progress"], ids=["first look", "later look"])
def test_a_final_error_ends_the_wait_at_once(error: AlchemyError, before: str | None) -> None:
    wait = wait_with()
    if before:
        look(wait, before)
    with pytest.raises(type(error)) as caught:
        look(wait, error)
    assert caught.value is error


def test_ten_failures_in_a_row_are_survived_and_the_eleventh_is_not() -> None:
    assert DEFAULT_MAX_CONSECUTIVE_FAILURES == 10
    wait = wait_with()
    for _ in range(10):
        look(wait, BUSY)
    with pytest.raises(errors.AlchemyRateLimitError):
        look(wait, BUSY)


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_as_many_failures_in_a_row_are_survived_as_the_task_says(limit: int) -> None:
    wait = wait_with(max_consecutive_failures=limit)
    for _ in range(limit):
        look(wait, BUSY)
    with pytest.raises(errors.AlchemyRateLimitError):
        look(wait, BUSY)


def test_without_a_limit_any_number_of_failures_is_survived() -> None:
    wait = wait_with(max_consecutive_failures=None)
    for _ in range(200):
        look(wait, BUSY)
    assert wait.record.failures == 200


@pytest.mark.parametrize("good", PENDING)
def test_one_good_answer_clears_the_count_of_failures(good: str) -> None:
    wait = wait_with(max_consecutive_failures=2)
    for outcome in (BUSY, BUSY, good, BUSY, BUSY):
        look(wait, outcome)
    assert wait.record.failures == 2


def test_failures_back_off_beyond_a_short_interval() -> None:
    wait = wait_with(interval=1)
    delays = [look(wait, BUSY).delay_seconds for _ in range(4)]
    assert [int(delay or 0) for delay in delays] == [1, 2, 4, 8]


def test_a_failure_waits_at_least_as_long_as_the_service_asks() -> None:
    error = errors.AlchemyRateLimitError("x", retry_after_seconds=200)
    assert 200 <= (look(wait_with(), error).delay_seconds or 0) <= 201


def test_a_host_that_never_answered_is_an_unknown_network() -> None:
    with pytest.raises(errors.AlchemyHostNotFoundError):
        look(wait_with(), NO_HOST)


def test_a_host_that_is_not_found_after_a_mere_failure_is_an_unknown_network() -> None:
    wait = wait_with()
    look(wait, BUSY)
    with pytest.raises(errors.AlchemyHostNotFoundError):
        look(wait, NO_HOST)


def test_a_host_that_answered_before_has_trouble_with_its_name_only() -> None:
    wait = wait_with()
    look(wait, "queued")
    assert look(wait, NO_HOST).delay_seconds == 60


def test_trouble_with_the_name_service_counts_as_failures_in_a_row() -> None:
    wait = wait_with(max_consecutive_failures=1)
    look(wait, "queued")
    look(wait, NO_HOST)
    with pytest.raises(errors.AlchemyHostNotFoundError):
        look(wait, NO_HOST)


def test_a_bug_in_the_caller_is_not_taken_for_a_failed_look() -> None:
    wait = wait_with()
    with pytest.raises(ZeroDivisionError), wait.look():
        raise ZeroDivisionError
    assert wait.record.failures == 0


def test_polls_and_units_are_counted_for_good_and_failed_looks() -> None:
    wait = wait_with()
    look(wait, "queued", calls=1, units=480)
    look(wait, BUSY, calls=5, units=960)
    look(wait, "finished", calls=2, units=480)
    assert (wait.record.polls, wait.record.compute_units, wait.record.looks) == (8, 1920, 3)


def test_polls_and_units_are_counted_where_the_wait_fails() -> None:
    wait = wait_with()
    with pytest.raises(errors.AlchemyAuthenticationError):
        look(wait, errors.AlchemyAuthenticationError("x"), calls=1, units=480)
    assert (wait.record.polls, wait.record.compute_units) == (1, 480)


def test_the_moment_of_submission_is_the_first_look(clock: time_machine.Traveller) -> None:
    wait = wait_with()
    look(wait, BUSY)
    clock.shift(60)
    look(wait, "queued")
    assert wait.record.submitted_at == NOW.isoformat()


def test_a_moment_of_submission_that_is_known_stays() -> None:
    wait = wait_with(submitted_at="2026-11-22T09:00:00+00:00")
    look(wait, "queued")
    assert wait.record.submitted_at == "2026-11-22T09:00:00+00:00"


def test_the_record_keeps_the_last_answer() -> None:
    wait = wait_with()
    look(wait, status("in_progress", 12.5))
    assert (wait.record.state, wait.record.progress, wait.record.network) == ("in_progress", 12.5, "eth-mainnet")


def test_a_failure_leaves_the_last_answer_in_the_record() -> None:
    wait = wait_with()
    look(wait, status("in_progress", 12))
    look(wait, BUSY)
    assert (wait.record.state, wait.record.progress) == ("in_progress", 12)


def test_the_result_of_a_wait_is_complete(clock: time_machine.Traveller) -> None:
    wait = wait_with()
    look(wait, "queued")
    clock.shift(60)
    look(wait, status("finished", 100))
    assert wait.result() == {
        "contract_address": wait.record.contract_address,
        "network": "eth-mainnet",
        "state": "finished",
        "progress": 100,
        "already_finished": False,
        "submitted_at": NOW.isoformat(),
        "finished_at": NOW.add(minutes=1).isoformat(),
        "polls": 2,
        "compute_units": 960,
    }


def test_a_wait_goes_on_in_another_process_where_it_was() -> None:
    first = wait_with(max_consecutive_failures=2)
    for outcome in ("in_progress", BUSY, BUSY):
        look(first, outcome)
    record = WaitRecord.read(json.loads(json.dumps(first.record.to_dict())))
    assert record is not None
    second = RefreshWait(record, subject=SUBJECT, cadence=Cadence(), max_consecutive_failures=2)
    with pytest.raises(errors.AlchemyRateLimitError):
        look(second, BUSY)
