# SPDX-License-Identifier: Apache-2.0
"""The operator with ``fallback``: where ``reingestContract`` is gone it refreshes the tokens, with the same result."""

from __future__ import annotations

import json
import socket
import time
from contextlib import nullcontext
from datetime import timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_alchemy.api.errors import (
    AlchemyArgumentError,
    AlchemyAuthenticationError,
    AlchemyHostNotFoundError,
    AlchemySpendingLimitError,
    AlchemyTokensFailedForGoodError,
)
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import TaskLog
from tests.operators.gone import (
    BATCH,
    METADATA,
    PRICE,
    REINGEST,
    TOKENS,
    each_status,
    gone_in_the_middle,
    lead_from_trigger,
    reingest_calls,
    with_tokens,
)
from tests.operators.gone import collection as collection  # noqa: PLC0414 - a fixture
from tests.operators.gone import no_pauses as no_pauses  # noqa: PLC0414 - a fixture
from tests.tasks.lives import (
    ADDRESS,
    LOWER,
    RESULT_KEYS,
    Life,
    StateStore,
    context_of,
    failure,
    in_the_worker_and_deferred,
    once,
    waiting_operator,
    was_asked,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("collection")]


class TestTheArgument:
    @pytest.mark.parametrize("value", ["token", "", True, 1, ["tokens"], "TOKENS"])
    def test_anything_but_tokens_is_refused_where_the_dag_is_parsed(self, value: Any) -> None:
        with pytest.raises(
            AlchemyArgumentError, match=r"argument 'fallback' is .*; expected 'tokens' or None"
        ) as caught:
            waiting_operator(fallback=value)

        assert isinstance(caught.value, AirflowFailException)

    def test_a_task_that_does_not_wait_is_refused(self) -> None:
        with pytest.raises(AlchemyArgumentError, match="Set wait_for_completion=True too") as caught:
            with_tokens(wait_for_completion=False)

        assert isinstance(caught.value, AirflowFailException)

    def test_it_may_start_and_end_in_the_triggerer(self) -> None:
        task = with_tokens(deferrable=True, start_from_trigger=True)

        assert (task.start_from_trigger, task.fallback) == (True, "tokens")


@in_the_worker_and_deferred
class TestTheTokensInItsPlace:
    @pytest.mark.parametrize("is_in_the_middle", [False, True], ids=["at once", "in the middle"])
    @each_status
    def test_they_are_refreshed_and_counted(
        self, deferrable: bool, status: int, is_in_the_middle: bool, emulator: AlchemyEmulator
    ) -> None:
        emulator.configure(reingest_gone=None if is_in_the_middle else status)

        with gone_in_the_middle(emulator, status) if is_in_the_middle else nullcontext():
            result = Life().lead(with_tokens(deferrable=deferrable))

        assert (result["state"], result["progress"], result["already_finished"]) == ("finished", 100, False)
        assert (result["polls"], result["compute_units"]) == (emulator.count(None), emulator.compute_units)
        asked = {token for call in emulator.calls if call.refreshes for token in call.token_ids}
        assert len(asked) == TOKENS

    def test_the_result_has_exactly_the_usual_keys(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        with gone_in_the_middle(emulator):
            result = Life().lead(with_tokens(deferrable=deferrable))

        assert set(result) == RESULT_KEYS
        assert (result["contract_address"], result["network"]) == (LOWER, "eth-mainnet")
        assert result["submitted_at"] < result["finished_at"]

    def test_one_warning_says_so(self, deferrable: bool, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        with gone_in_the_middle(emulator):
            Life().lead(with_tokens(deferrable=deferrable))

        told = "reingestContract is gone (Alchemy answered HTTP 410: "
        lines = {line[line.index("Collection") :].split("\x1b")[0] for line in task_log().splitlines() if told in line}
        assert len(lines) == 1
        assert "its tokens are refreshed one by one now (fallback='tokens')" in lines.pop()

    def test_what_it_costs_is_told_beforehand(
        self, deferrable: bool, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        with gone_in_the_middle(emulator):
            Life().lead(with_tokens(deferrable=deferrable))

        assert f"{PRICE - METADATA:,} compute units" in task_log()

    def test_a_refresh_that_goes_well_asks_for_no_token(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, running_seconds=0.1)

        Life().lead(with_tokens(deferrable=deferrable))

        assert reingest_calls(emulator) == emulator.count(None)

    def test_another_failure_asks_for_no_token(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        emulator.set_job(ADDRESS, queued_seconds=600)

        with once(was_asked(emulator), lambda: emulator.add_fault("http", status=401)):
            error = failure(with_tokens(deferrable=deferrable))

        assert isinstance(error, AlchemyAuthenticationError)
        assert reingest_calls(emulator) == emulator.count(None)

    def test_tokens_without_proof_fail_the_task(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        emulator.set_tokens(ADDRESS, [1, 2], error="Contract returned a broken token uri, do not retry")

        with gone_in_the_middle(emulator):
            error = failure(with_tokens(deferrable=deferrable))

        assert type(error).__name__ == AlchemyTokensFailedForGoodError.__name__
        assert isinstance(error, AirflowFailException)
        assert "2 of 250 tokens are not proven fresh" in str(error)
        assert "RefreshCollectionOperator names these tokens, and takes max_failed" in str(error)


class TestFromTheTriggerer:
    @each_status
    def test_the_tokens_are_refreshed_in_a_worker(self, status: int, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=status)

        result = lead_from_trigger(with_tokens(start_from_trigger=True))

        assert (result["state"], set(result)) == ("finished", RESULT_KEYS)
        assert (result["polls"], result["compute_units"]) == (emulator.count(None), emulator.compute_units)

    def test_gone_in_the_middle_they_are_too(self, emulator: AlchemyEmulator) -> None:
        with gone_in_the_middle(emulator):
            result = lead_from_trigger(with_tokens(start_from_trigger=True))

        assert (result["polls"], result["compute_units"]) == (emulator.count(None), emulator.compute_units)


class TestOtherWaysToBeGone:
    def test_a_network_without_the_endpoint(self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
        emulator.set_collection(ADDRESS, network="base-mainnet", tokens=TOKENS)
        extra = {"network": "base-mainnet", "compute_units_per_second": 1_000_000}
        connection = {"conn_type": "alchemy", "host": emulator.url + "/{network}", "password": emulator.api_key}
        monkeypatch.setenv("AIRFLOW_CONN_ALCHEMY_DEFAULT", json.dumps({**connection, "extra": extra}))

        result = Life().lead(with_tokens())

        assert (result["state"], result["network"]) == ("finished", "base-mainnet")
        assert result["compute_units"] == emulator.compute_units == PRICE + REINGEST

    def test_a_host_that_does_not_exist(
        self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch, task_log: TaskLog
    ) -> None:
        ask, asked = socket.getaddrinfo, []

        def unknown_at_first(*arguments: Any, **further: Any) -> Any:
            asked.append(arguments)
            if len(asked) == 1:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return ask(*arguments, **further)

        monkeypatch.setattr(socket, "getaddrinfo", unknown_at_first)

        result = Life().lead(with_tokens())

        assert (result["state"], reingest_calls(emulator)) == ("finished", 0)
        assert result["compute_units"] == emulator.compute_units == PRICE
        assert "reingestContract is gone (host 127.0.0.1" in task_log()

    def test_a_host_that_stays_unknown_fails_the_task(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unknown(*_: Any, **__: Any) -> Any:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", unknown)

        error = failure(with_tokens())

        assert isinstance(error, AlchemyHostNotFoundError)
        assert isinstance(error, AirflowFailException)


@pytest.mark.parametrize("start_from_trigger", [False, True])
@pytest.mark.usefixtures("clock")  # so the first part takes none of it
def test_the_execution_timeout_counts_from_the_tasks_start(start_from_trigger: bool, emulator: AlchemyEmulator) -> None:
    emulator.add_fault("hang", endpoint="getNFTsForContract")
    task = with_tokens(deferrable=True, start_from_trigger=start_from_trigger, execution_timeout=timedelta(seconds=1))
    began = time.monotonic()

    with gone_in_the_middle(emulator), pytest.raises(AirflowTaskTimeout, match="not all tokens were proven fresh"):
        lead_from_trigger(task) if start_from_trigger else Life().lead(task)

    assert time.monotonic() - began >= 0.9


class TestTheSpendingLimit:
    def test_it_pays_for_both_parts(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=410)

        result = Life().lead(with_tokens(max_compute_units=REINGEST + PRICE))

        assert result["compute_units"] == emulator.compute_units == REINGEST + PRICE

    def test_it_refuses_tokens_that_it_does_not_pay_for(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=410)

        error = failure(with_tokens(max_compute_units=REINGEST + PRICE - 1))

        assert isinstance(error, AlchemySpendingLimitError)
        assert emulator.compute_units == REINGEST + METADATA
        assert f"{REINGEST + METADATA} are spent" in str(error)
        assert "Raise max_compute_units, which counts for reingestContract and the tokens together" in str(error)

    def test_it_refuses_even_to_ask_how_many_there_are(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=410)

        error = failure(with_tokens(max_compute_units=REINGEST + METADATA - 1))

        assert isinstance(error, AlchemySpendingLimitError)
        assert emulator.compute_units == REINGEST

    @pytest.mark.usefixtures("no_pauses")
    def test_it_stops_further_tries_of_a_token(self, emulator: AlchemyEmulator) -> None:
        emulator.set_tokens(ADDRESS, [1], stale=True)
        emulator.configure(reingest_gone=410)
        limit = REINGEST + PRICE + BATCH

        error = failure(with_tokens(max_compute_units=limit))

        assert isinstance(error, AlchemySpendingLimitError)
        assert emulator.compute_units == limit


class TestWhatItSaysWhenItIsKilled:
    def test_while_it_waits_the_refresh_goes_on(self, task_log: TaskLog) -> None:
        with_tokens().on_kill()

        assert f"The refresh of {ADDRESS} goes on at Alchemy, which cannot cancel it" in task_log()

    def test_while_it_refreshes_tokens_that_stops(self, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        emulator.configure(reingest_gone=410)
        task = with_tokens()
        task.execute(context_of())

        task.on_kill()

        assert f"The refresh of {ADDRESS} stops here" in task_log()


def test_the_key_is_kept_nowhere(emulator: AlchemyEmulator) -> None:
    emulator.configure(reingest_gone=410)
    store = StateStore()

    Life().lead(with_tokens(), context_of(store=store))

    assert "alchemy_fallback" in store.texts
    assert emulator.api_key not in "".join(store.texts.values())
