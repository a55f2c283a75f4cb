# SPDX-License-Identifier: Apache-2.0
"""What a task makes of an event: of the trigger's own, and of one that cannot be."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSensorTimeout, AirflowTaskTimeout

from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyDeadlineError,
    AlchemyError,
    AlchemyExecutionDeadlineError,
    AlchemyNoSuchCollectionError,
    AlchemyServerError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from tests.tasks.lives import ADDRESS, LOWER, RESULT_KEYS, context_of, sensor_in

RECORD = {"contract_address": LOWER, "network": "eth-mainnet", "status": "in_progress", "polls": 3}


def operator() -> ReingestContractOperator:
    return ReingestContractOperator(task_id="refresh", contract_address=ADDRESS, wait_for_completion=True)


@pytest.fixture(params=["sensor", "operator"])
def task(request: pytest.FixtureRequest) -> Any:
    return sensor_in("deferred") if request.param == "sensor" else operator()


def event_of(error: AlchemyError, status: str = "failed") -> dict[str, Any]:
    return {"status": status, "state": dict(RECORD), "error": error.to_dict()}


@pytest.mark.parametrize(
    "event",
    [
        None,
        {},
        "finished",
        {"status": "success"},
        {"status": None, "state": RECORD},
        {"status": "unheard of", "state": RECORD, "error": None},
        {"status": "finished"},
        {"status": "finished", "state": None, "error": None},
        {"status": "failed", "state": [], "error": None},
        {"status": "finished", "state": {}, "error": None},
        {"status": ["finished"], "state": RECORD, "error": None},
    ],
    ids=str,
)
class TestAnEventThatCannotBe:
    def test_it_fails_loudly(self, task: Any, event: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError):
            task.execute_complete(context_of(), event)

    def test_it_says_what_to_check(self, task: Any, event: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match="workers and triggerers run the same version"):
            task.execute_complete(context_of(), event)

    def test_it_names_the_collection(self, task: Any, event: Any) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match=ADDRESS):
            task.execute_complete(context_of(), event)


def test_a_finished_record_is_the_result(task: Any) -> None:
    event = {"status": "finished", "state": {**RECORD, "status": "finished", "percent": 100}, "error": None}

    result = task.execute_complete(context_of(), event)

    assert (result["state"], result["polls"], set(result)) == ("finished", 3, RESULT_KEYS)


def test_values_that_a_newer_version_adds_are_left_out(task: Any) -> None:
    event = {"status": "finished", "state": {**RECORD, "status": "finished", "mood": "good"}, "error": None}

    assert set(task.execute_complete(context_of(), event)) == RESULT_KEYS


@pytest.mark.parametrize(
    ("error", "airflow_type"),
    [
        (AlchemyAuthenticationError("refused"), AirflowFailException),
        (AlchemyNoSuchCollectionError("none"), AirflowFailException),
        (AlchemyDeadlineError("over"), AirflowSensorTimeout),
    ],
)
def test_an_error_comes_back_as_itself_and_as_airflows(
    task: Any, error: AlchemyError, airflow_type: type[Exception]
) -> None:
    with pytest.raises(type(error)) as caught:
        task.execute_complete(context_of(), event_of(error))

    assert isinstance(caught.value, airflow_type)


def test_an_error_comes_back_with_its_text(task: Any) -> None:
    error = AlchemyServerError("Alchemy answered HTTP 500", subject="collection 0x", http_status=500)

    with pytest.raises(AlchemyServerError) as caught:
        task.execute_complete(context_of(), event_of(error))

    assert (str(caught.value), caught.value.http_status) == (str(error), 500)


def test_an_execution_timeout_comes_back_as_airflows_task_timeout(task: Any) -> None:
    with pytest.raises(AirflowTaskTimeout):
        task.execute_complete(context_of(), event_of(AlchemyExecutionDeadlineError("over"), "timed_out"))


def test_an_error_of_an_unknown_type_fails_as_an_error_of_ours(task: Any) -> None:
    event = event_of(AlchemyServerError("new"))
    event["error"]["type"] = "AlchemyErrorOfTomorrow"

    with pytest.raises(AlchemyError, match="new"):
        task.execute_complete(context_of(), event)


def test_a_failure_without_an_error_is_no_success(task: Any) -> None:
    with pytest.raises(AlchemyError):
        task.execute_complete(context_of(), {"status": "failed", "state": dict(RECORD), "error": None})
