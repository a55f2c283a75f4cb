# SPDX-License-Identifier: Apache-2.0
"""What the operators' errors say where ``reingestContract`` is gone: the line to write, which works."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_alchemy.api.errors import AlchemyEndpointGoneError, AlchemyNetworkError
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.triggers.reingest import ReingestTrigger
from tests.operators.gone import TOKENS, each_status, gone_in_the_middle, lead_from_trigger
from tests.operators.gone import collection as collection  # noqa: PLC0414 - a fixture
from tests.tasks.batches import BatchLife
from tests.tasks.batches import refresh as refresh_many
from tests.tasks.lives import (
    ADDRESS,
    LOWER,
    context_of,
    failure,
    fire,
    in_the_worker_and_deferred,
    sensor_in,
    waiting_operator,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("collection")]

LINE = f"RefreshCollectionOperator(task_id='refresh', contract_address='{LOWER}')"
HINT = 'With fallback="tokens" and wait_for_completion=True this task does it itself'


class TestTheError:
    @each_status
    @in_the_worker_and_deferred
    def test_it_names_the_line_to_write(self, status: int, deferrable: bool, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=status)

        error = failure(waiting_operator(deferrable=deferrable))

        assert isinstance(error, AirflowFailException)
        assert isinstance(error, AlchemyEndpointGoneError)
        assert LINE in str(error)
        assert HINT in str(error)

    def test_gone_while_it_is_deferred_it_says_the_same(self, emulator: AlchemyEmulator) -> None:
        with gone_in_the_middle(emulator):
            error = failure(waiting_operator(deferrable=True))

        assert LINE in str(error)
        assert HINT in str(error)

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda: waiting_operator(start_from_trigger=True), HINT),
            (lambda: sensor_in("deferred", start_from_trigger=True), ""),
        ],
        ids=["operator", "sensor"],
    )
    def test_started_in_the_triggerer_it_says_the_same(
        self, make: Callable[[], Any], words: str, emulator: AlchemyEmulator
    ) -> None:
        emulator.configure(reingest_gone=410)

        with pytest.raises(AlchemyEndpointGoneError) as caught:
            lead_from_trigger(make())

        assert LINE in str(caught.value)
        assert words in str(caught.value)

    def test_a_task_that_only_submits_says_the_same(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=410)

        assert HINT in str(failure(waiting_operator(wait_for_completion=False)))

    def test_the_line_works(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=410)
        told = str(failure(waiting_operator()))
        line, _, rest = told[told.index("RefreshCollectionOperator(") :].partition(" from ")

        names: dict[str, Any] = {}
        exec(f"from {rest.split('. ')[0]} import RefreshCollectionOperator", names)  # noqa: S102 - our own text
        operator = eval(line, names)  # noqa: S307 - our own text

        assert isinstance(operator, RefreshCollectionOperator)
        assert operator.execute(context_of())["counts"]["refreshed"] == TOKENS

    def test_the_line_names_the_network_and_the_connection_of_the_task(
        self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = {"conn_type": "alchemy", "host": emulator.url + "/{network}", "password": emulator.api_key}
        monkeypatch.setenv("AIRFLOW_CONN_MINE", json.dumps(connection))

        error = failure(waiting_operator(network="base-mainnet", alchemy_conn_id="mine"))

        assert isinstance(error, AlchemyNetworkError)
        assert f"{LINE[:-1]}, network='base-mainnet', alchemy_conn_id='mine')" in str(error)
        assert "reingestContract knows eth-mainnet only" in str(error)
        assert HINT in str(error)

    def test_of_many_contracts_it_names_the_line_too(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=410)

        with pytest.raises(AlchemyEndpointGoneError) as caught:
            BatchLife(refresh_many([ADDRESS])).lead()

        assert LINE in str(caught.value)

    def test_the_trigger_by_itself_names_the_line(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=410)

        event = fire(ReingestTrigger(ADDRESS, poll_interval=0.05))

        assert LINE in event["error"]["advice"]

    def test_what_is_not_gone_names_no_line(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=401)

        told = str(failure(waiting_operator()))

        assert "RefreshCollectionOperator" not in told
        assert "fallback" not in told
