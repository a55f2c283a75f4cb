# SPDX-License-Identifier: Apache-2.0
"""What cannot be right and shows only when the task runs: a clear error, nothing sent, no retry used up."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_alchemy.api.errors import AlchemyHostNotFoundError
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE
from tests.tasks.dag_runs import new_dag, run
from tests.tasks.lives import ADDRESS, failure

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("airflow_database")]

KINDS: list[Any] = [ReingestContractOperator, ReingestSensor]


def rendered(kind: Any, **arguments: Any) -> Any:
    """Build a task whose arguments are templates, and render them as Airflow does before it runs."""
    task = kind(task_id="task", contract_address=ADDRESS)
    for name, value in arguments.items():
        setattr(task, name, value)
    return task


@pytest.mark.parametrize("kind", KINDS)
class TestAtRunTime:
    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            ({"contract_address": ""}, "argument 'contract_address' is empty, or its template rendered to nothing"),
            ({"contract_address": "None"}, "argument 'contract_address' is 'None', which is no contract address"),
            ({"contract_address": None}, "argument 'contract_address' is None and no text"),
            ({"contract_address": ADDRESS.replace("Ca", "cA")}, "EIP-55"),
            ({"network": ""}, "argument 'network' is empty, or its template rendered to nothing; expected a"),
            ({"network": "Main Net"}, "argument 'network' is 'Main Net'; expected a network's slug"),
            (
                {"alchemy_conn_id": ""},
                "argument 'alchemy_conn_id' is empty, or its template rendered to nothing; expected",
            ),
            ({"alchemy_conn_id": None}, "argument 'alchemy_conn_id' is None; expected the id of a connection"),
            ({"alchemy_conn_id": "nowhere"}, "connection 'nowhere' does not exist"),
        ],
    )
    def test_an_argument_that_rendered_to_nothing_of_use_is_named_and_nothing_is_sent(
        self, kind: Any, arguments: dict[str, Any], named: str, emulator: AlchemyEmulator
    ) -> None:
        error = failure(rendered(kind, **arguments))

        assert isinstance(error, AirflowFailException)
        assert (named in str(error), emulator.count()) == (True, 0), str(error)

    @pytest.mark.parametrize(
        ("fields", "named"),
        [
            ({"password": ""}, "field 'password (API key)' of connection 'alchemy_default' is empty"),
            ({"password": None}, "field 'password (API key)' of connection 'alchemy_default' is empty"),
            ({"conn_type": "http"}, "connection 'alchemy_default' is of type 'http'; expected"),
            ({"host": "http://example.com"}, "field 'host' of connection 'alchemy_default'"),
            ({"extra": {"network": "Main Net"}}, "field 'network' of connection 'alchemy_default'"),
            ({"extra": {"timeout": -1}}, "field 'timeout' of connection 'alchemy_default'"),
            ({"extra": {"auth": "query"}}, "field 'auth' of connection 'alchemy_default'"),
        ],
        ids=str,
    )
    def test_a_connection_that_cannot_be_right_is_named_and_nothing_is_sent(
        self,
        kind: Any,
        fields: dict[str, Any],
        named: str,
        emulator: AlchemyEmulator,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        good = {"conn_type": "alchemy", "host": emulator.url, "password": emulator.api_key}
        monkeypatch.setenv(CONNECTION_VARIABLE, json.dumps({**good, **fields}))

        error = failure(kind(task_id="task", contract_address=ADDRESS))

        assert isinstance(error, AirflowFailException)
        assert (named in str(error), emulator.count()) == (True, 0), str(error)

    def test_a_network_whose_host_does_not_resolve_is_named(self, kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        fields = {"conn_type": "alchemy", "password": "some-key", "host": "https://{network}.invalid"}
        monkeypatch.setenv(CONNECTION_VARIABLE, json.dumps({**fields, "extra": {"max_attempts": 1}}))

        error = failure(rendered(kind, network="no-such-network", max_consecutive_failures=0))

        # A machine without a name service answers "try again" instead, which is no proof of anything.
        if isinstance(error, AlchemyHostNotFoundError):
            assert isinstance(error, AirflowFailException)
            assert "network 'no-such-network'" in str(error)
        else:
            assert "the name of no-such-network.invalid could not be looked up" in str(error)


@pytest.mark.parametrize("kind", KINDS)
class TestInADagRun:
    @pytest.mark.parametrize(
        "template", ["{{ params.get('none') }}", "{{ dag_run.conf.get('address', '') }}", "0x{{ 1 }}"]
    )
    def test_a_template_that_renders_to_no_address_sends_nothing_and_uses_up_no_retry(
        self, kind: Any, template: str, emulator: AlchemyEmulator
    ) -> None:
        with new_dag() as dag:
            kind(task_id="task", contract_address=template, retries=2, retry_delay=timedelta(0))

        task = run(dag)["task"]

        assert (task.state, task.try_number, emulator.count()) == ("failed", 1, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "trouble",
    [{"kind": "http", "status": 401}, {"kind": "http", "status": 403, "message": "Monthly capacity limit exceeded."}],
    ids=["401", "quota"],
)
def test_what_the_user_has_to_mend_uses_up_no_retry(
    kind: Any, trouble: dict[str, Any], emulator: AlchemyEmulator
) -> None:
    emulator.add_fault(**trouble)
    with new_dag() as dag:
        kind(task_id="task", contract_address=ADDRESS, retries=2, retry_delay=timedelta(0))

    task = run(dag)["task"]

    assert (task.state, task.try_number, emulator.count()) == ("failed", 1, 1)
