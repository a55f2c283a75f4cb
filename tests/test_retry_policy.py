# SPDX-License-Identifier: Apache-2.0
"""The retry policy that comes with the package, on Airflow before 3.3, on 3.3, and on 3.4, which can reschedule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat import sdk
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.defaults import BACK_STOP
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.retry_policy import alchemy_retry_policy
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.dag_runs import new_dag, run
from tests.tasks.lives import ADDRESS, StateStore, TaskInstance, context_of

CAN_RESCHEDULE = AIRFLOW_V_3_3_PLUS and hasattr(sdk.RetryAction, "RESCHEDULE")
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
QUOTA = "Monthly capacity limit exceeded."
LATER = "reschedule" if CAN_RESCHEDULE else "retry"

since_3_3 = pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="Airflow has retry policies from 3.3 on")


@pytest.mark.skipif(AIRFLOW_V_3_3_PLUS, reason="Airflow has retry policies from 3.3 on")
def test_an_older_airflow_is_refused_with_its_version() -> None:
    with pytest.raises(AirflowFailException, match=r"need Airflow 3\.3, and this is [23]\.\d+\.\d+\. Leave out"):
        alchemy_retry_policy()


@since_3_3
@pytest.mark.parametrize(
    ("error", "action", "delay"),
    [
        (errors.AlchemyQuotaError, LATER, DAY),
        (errors.AlchemyQueueFailedError, "retry", HOUR),
        (errors.AlchemyListingError, "retry", HOUR),
        (errors.AlchemyUnexpectedAnswerError, "default", None),
        (errors.AlchemyAuthenticationError, "default", None),
        (errors.AlchemyDeadlineError, "default", None),
        (ValueError, "default", None),
    ],
)
def test_what_becomes_of_each_error(error: Any, action: str, delay: timedelta | None) -> None:
    decision = alchemy_retry_policy().evaluate(error("as it is"), try_number=1, max_tries=3)

    assert (decision.action.value, decision.retry_delay) == (action, delay)
    if action == "reschedule":
        # Sensors' own pokes count among reschedules: no number of them is the limit.
        assert (getattr(decision, "max_reschedules"), getattr(decision, "reschedule_timeout")) == (None, 32 * DAY)  # noqa: B009


@since_3_3
@pytest.mark.parametrize("argument", ["quota_delay", "queue_delay"])
@pytest.mark.parametrize("value", [-1, timedelta(days=-1), float("nan"), None, "1"], ids=repr)
def test_a_delay_that_cannot_be_right_is_named(argument: str, value: Any) -> None:
    with pytest.raises(AirflowFailException, match=argument):
        alchemy_retry_policy(**{argument: value})


@since_3_3
@pytest.mark.integration
@pytest.mark.usefixtures("airflow_database")
@pytest.mark.parametrize(
    "arguments",
    [
        (ReingestContractOperator, {"wait_for_completion": True, "poll_interval": 0.05}),
        (ReingestSensor, {"poke_interval": 0.05}),
        (ReingestSensor, {"poke_interval": 0.05, "mode": "reschedule"}),
        (RefreshCollectionOperator, {}),
        (MetadataFreshSensor, {"fresh_since": "2020-01-01T00:00:00Z", "poke_interval": 0.05}),
    ],
    ids=lambda arguments: f"{arguments[0].__name__} {arguments[1].get('mode', '')}",
)
def test_a_quota_that_is_used_up_twice_costs_a_retry_only_before_3_4(arguments: Any, emulator: AlchemyEmulator) -> None:
    kind, others = arguments
    emulator.set_default_job(running_seconds=0)
    emulator.set_collection(ADDRESS, tokens=10)
    emulator.add_fault("http", status=403, message=QUOTA, times=2)
    with new_dag() as dag:
        policy = alchemy_retry_policy(quota_delay=0)
        kind(task_id="task", contract_address=ADDRESS, retries=2, retry_policy=policy, **others)

    task = run(dag)["task"]

    assert (task.state, task.try_number) == ("success", 1 if CAN_RESCHEDULE else 3)


@pytest.mark.skipif(not CAN_RESCHEDULE, reason="Airflow reschedules for a policy from 3.4 on")
def test_it_is_one_of_a_chain_of_policies() -> None:
    own = sdk.ExceptionRetryPolicy(rules=[sdk.RetryRule(exception=errors.AlchemyServerError, retry_delay=HOUR)])
    chain = getattr(sdk, "ChainRetryPolicy")([alchemy_retry_policy(), own])  # noqa: B009 - unknown before 3.4

    decisions = [
        chain.evaluate(error("as it is"), try_number=1, max_tries=3).action.value
        for error in (errors.AlchemyQuotaError, errors.AlchemyServerError, errors.AlchemyRequestError)
    ]

    assert decisions == ["reschedule", "retry", "default"]


@pytest.mark.integration
@pytest.mark.skipif(not CAN_RESCHEDULE, reason="Airflow reschedules for a policy from 3.4 on")
def test_a_task_that_was_rescheduled_begins_its_timeout_anew(emulator: AlchemyEmulator, clock: Any) -> None:
    emulator.set_job(ADDRESS, running_seconds=3600)
    emulator.add_fault("http", status=403, message=QUOTA, times=1)
    task = ReingestContractOperator(
        task_id="task",
        contract_address=ADDRESS,
        wait_for_completion=True,
        deferrable=True,
        timeout=3600,
        retry_policy=alchemy_retry_policy(),
    )
    ti, store = TaskInstance(), StateStore()
    with pytest.raises(errors.AlchemyQuotaError):
        task.execute(context_of(ti, store))
    clock.shift(DAY)
    with pytest.raises(sdk.TaskDeferred) as deferred:
        task.execute(context_of(ti, store))

    assert deferred.value.timeout == HOUR + BACK_STOP
