# SPDX-License-Identifier: Apache-2.0
"""Retry policies (Airflow 3.3): users write them on this package's error types, and they come before our word."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat import sdk
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_alchemy.api.errors import AlchemyAuthenticationError, AlchemyDeadlineError, AlchemyQuotaError
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.dag_runs import new_dag, run
from tests.tasks.lives import ADDRESS, failure

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("airflow_database"),
    pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="Airflow has retry policies from 3.3 on"),
    pytest.mark.parametrize("kind", [ReingestContractOperator, ReingestSensor]),
]

QUOTA = "Monthly capacity limit exceeded."


def policy(exception: Any, action: str = "RETRY") -> Any:
    rule = sdk.RetryRule(
        exception=exception,
        action=sdk.RetryAction[action],
        retry_delay=timedelta(0) if action == "RETRY" else None,
    )
    return sdk.ExceptionRetryPolicy(rules=[rule])


def build(kind: Any, **arguments: Any) -> Any:
    return kind(task_id="task", contract_address=ADDRESS, **arguments)


@pytest.mark.parametrize("name", ["class", "path"])
def test_an_error_that_a_policy_retries_is_not_final(kind: Any, name: str, emulator: AlchemyEmulator) -> None:
    emulator.add_fault("http", status=403, message=QUOTA)
    exception = AlchemyQuotaError if name == "class" else "airflow_provider_alchemy.api.errors.AlchemyQuotaError"

    error = failure(build(kind, retry_policy=policy(exception)))

    assert type(error) is AlchemyQuotaError


def test_without_a_policy_it_is_final(kind: Any, emulator: AlchemyEmulator) -> None:
    emulator.add_fault("http", status=403, message=QUOTA)

    error = failure(build(kind))

    assert isinstance(error, AirflowFailException)
    assert isinstance(error, AlchemyQuotaError)


@pytest.mark.parametrize(
    "retry_policy",
    [("AlchemyAuthenticationError", "RETRY"), ("AlchemyQuotaError", "FAIL")],
    ids=["about another error", "that says fail"],
)
def test_a_policy_that_retries_it_not_leaves_it_final(
    kind: Any, retry_policy: tuple[str, str], emulator: AlchemyEmulator
) -> None:
    emulator.add_fault("http", status=403, message=QUOTA)
    error_types = {each.__name__: each for each in (AlchemyAuthenticationError, AlchemyQuotaError)}

    error = failure(build(kind, retry_policy=policy(error_types[retry_policy[0]], retry_policy[1])))

    assert isinstance(error, AirflowFailException)


def test_a_policy_may_retry_a_timeout(kind: Any, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)
    interval = {"poke_interval": 0.05} if kind is ReingestSensor else {"poll_interval": 0.05}
    waits = {} if kind is ReingestSensor else {"wait_for_completion": True}

    error = failure(build(kind, timeout=0.2, retry_policy=policy(AlchemyDeadlineError), **interval, **waits))

    assert type(error) is AlchemyDeadlineError


def test_airflow_retries_what_the_policy_says(kind: Any, emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, running_seconds=0)
    emulator.add_fault("http", status=403, message=QUOTA, times=1)
    with new_dag() as dag:
        build(kind, retries=2, retry_policy=policy(AlchemyQuotaError))

    task = run(dag)["task"]

    assert (task.state, task.try_number) == ("success", 2)
