# SPDX-License-Identifier: Apache-2.0
"""The operator that submits and goes on: what it asks, what it returns, when it submits again."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout

from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyNoSuchCollectionError,
    AlchemyQueueFailedError,
    AlchemyServerError,
)
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import ConnectTo, TaskLog
from tests.tasks.lives import ADDRESS, LOWER, RESULT_KEYS, Life, context_of, failure

pytestmark = pytest.mark.integration


def submit(**arguments: Any) -> ReingestContractOperator:
    return ReingestContractOperator(**{"task_id": "submit", "contract_address": ADDRESS, **arguments})


def test_it_asks_once_and_goes_on(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)

    result = submit().execute(context_of())

    assert (result["state"], emulator.count()) == ("queued", 1)


@pytest.mark.usefixtures("emulator")
def test_the_result_has_exactly_the_documented_keys() -> None:
    assert set(submit().execute(context_of())) == RESULT_KEYS


def test_the_result_says_what_was_submitted_and_what_it_cost(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)

    result = submit().execute(context_of())

    assert (result["contract_address"], result["polls"], result["compute_units"]) == (LOWER, 1, emulator.compute_units)


def test_it_does_not_defer_where_it_does_not_wait(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)
    life = Life()

    life.lead(submit(deferrable=True))

    assert life.deferrals == []


def test_it_joins_a_refresh_that_runs(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)

    results = [submit().execute(context_of()) for _ in range(2)]

    assert [result["state"] for result in results] == ["queued", "already_queued"]


def test_a_refresh_that_had_finished_before_is_marked(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0)

    result = submit().execute(context_of())

    assert (result["state"], result["already_finished"]) == ("finished", True)


def test_a_contract_that_is_no_collection_fails_for_good(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, outcome="does_not_exist")

    error = failure(submit())

    assert isinstance(error, AirflowFailException)
    assert isinstance(error, AlchemyNoSuchCollectionError)


def test_a_refused_key_fails_for_good(emulator: AlchemyEmulator) -> None:
    emulator.rotate_key()

    error = failure(submit())

    assert isinstance(error, AirflowFailException)
    assert isinstance(error, AlchemyAuthenticationError)


@pytest.mark.usefixtures("quick_backoff")
def test_the_submission_is_worth_the_connections_attempts(emulator: AlchemyEmulator, connect: ConnectTo) -> None:
    connect(max_attempts=4)
    emulator.add_fault("http", status=503, times=3)

    submit().execute(context_of())

    assert [call.http_status for call in emulator.calls] == [503, 503, 503, 200]


@pytest.mark.usefixtures("quick_backoff")
def test_the_attempts_of_a_submission_are_all_counted(emulator: AlchemyEmulator, connect: ConnectTo) -> None:
    connect(max_attempts=4)
    emulator.add_fault("http", status=429, times=1)
    emulator.add_fault("http", status=503, times=2)

    result = submit().execute(context_of())

    assert (result["polls"], result["compute_units"]) == (4, emulator.compute_units)


@pytest.mark.usefixtures("quick_backoff")
def test_a_service_that_stays_broken_fails_in_a_way_that_airflow_retries(emulator: AlchemyEmulator) -> None:
    emulator.add_fault("http", status=500)

    assert type(failure(submit(max_consecutive_failures=1))) is AlchemyServerError


@pytest.mark.usefixtures("quick_backoff")
@pytest.mark.parametrize("deferrable", [False, True])
@pytest.mark.parametrize("wait_for_completion", [False, True])
class TestQueueFailed:
    def test_it_submits_again_until_the_refresh_is_queued(
        self, deferrable: bool, wait_for_completion: bool, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_job(ADDRESS, queue_failures=3, running_seconds=0)

        result = Life().lead(submit(deferrable=deferrable, wait_for_completion=wait_for_completion))

        assert (result["state"], emulator.count()) == ("finished", 4)

    def test_it_gives_up_after_three_more_submissions(
        self, deferrable: bool, wait_for_completion: bool, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_job(ADDRESS, outcome="queue_failed")

        error = failure(submit(deferrable=deferrable, wait_for_completion=wait_for_completion))

        assert (type(error), emulator.count()) == (AlchemyQueueFailedError, 4)

    def test_airflow_may_retry_it(self, deferrable: bool, wait_for_completion: bool, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, outcome="queue_failed")

        error = failure(submit(deferrable=deferrable, wait_for_completion=wait_for_completion))

        assert not isinstance(error, AirflowFailException | AirflowSensorTimeout)

    def test_max_resubmits_says_how_often(
        self, deferrable: bool, wait_for_completion: bool, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_job(ADDRESS, outcome="queue_failed")

        failure(submit(max_resubmits=1, deferrable=deferrable, wait_for_completion=wait_for_completion))

        assert emulator.count() == 2


def test_a_network_in_the_task_comes_before_the_connections(emulator: AlchemyEmulator, connect: ConnectTo) -> None:
    emulator.configure(reingest_on_every_network=True)
    connect(network="polygon-mainnet")

    result = submit(network="base-mainnet").execute(context_of())

    assert result["network"] == "base-mainnet"


def test_killed_it_says_that_the_refresh_goes_on(task_log: TaskLog) -> None:
    submit().on_kill()

    assert f"The refresh of {ADDRESS} goes on at Alchemy" in task_log()


def test_the_end_is_one_line_with_polls_and_units(emulator: AlchemyEmulator, task_log: TaskLog) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)

    submit().execute(context_of())

    assert "1 poll, 480 compute units" in task_log()
