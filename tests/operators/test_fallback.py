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
    AlchemyTokensFailedError,
)
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE, connection_json
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
    OTHER_ADDRESS,
    RESULT_KEYS,
    Life,
    StateStore,
    TaskInstance,
    context_of,
    context_without_store,
    failure,
    in_the_worker_and_deferred,
    once,
    waiting_operator,
    was_asked,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("collection")]


@pytest.mark.parametrize("value", ["token", "", True, 1, ["tokens"], "TOKENS"])
def test_anything_but_tokens_is_refused_where_the_dag_is_parsed(value: Any) -> None:
    with pytest.raises(AlchemyArgumentError, match=r"argument 'fallback' is .*; expected 'tokens' or None") as caught:
        waiting_operator(fallback=value)

    assert isinstance(caught.value, AirflowFailException)


def test_a_task_that_does_not_wait_is_refused() -> None:
    with pytest.raises(AlchemyArgumentError, match="Set wait_for_completion=True too") as caught:
        with_tokens(wait_for_completion=False)

    assert isinstance(caught.value, AirflowFailException)


@in_the_worker_and_deferred
class TestTheTokensInItsPlace:
    @pytest.mark.parametrize("is_in_the_middle", [False, True], ids=["at once", "in the middle"])
    @each_status
    def test_they_are_refreshed_and_counted(
        self, deferrable: bool, status: int, is_in_the_middle: bool, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        emulator.configure(reingest_gone=None if is_in_the_middle else status)

        with gone_in_the_middle(emulator, status) if is_in_the_middle else nullcontext():
            result = Life().lead(with_tokens(deferrable=deferrable))

        assert set(result) == RESULT_KEYS
        assert (result["contract_address"], result["network"]) == (LOWER, "eth-mainnet")
        assert (result["state"], result["progress"], result["already_finished"]) == ("finished", 100, False)
        assert (result["polls"], result["compute_units"]) == (emulator.count(None), emulator.compute_units)
        assert result["submitted_at"] < result["finished_at"]
        asked = {token for call in emulator.calls if call.refreshes for token in call.token_ids}
        assert len(asked) == TOKENS
        logged = task_log()
        warning = "its tokens are refreshed one by one now (fallback='tokens')"
        lines = {line[line.index("Collection") :].split("\x1b")[0] for line in logged.splitlines() if warning in line}
        assert len(lines) == 1
        assert f"reingestContract is gone (Alchemy answered HTTP {status}: " in lines.pop()
        assert f"{PRICE - METADATA:,} compute units" in logged

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

        assert isinstance(error, AlchemyTokensFailedError)
        assert error.is_permanent
        assert isinstance(error, AirflowFailException)
        assert "2 of 250 tokens are not proven fresh" in str(error)
        assert "RefreshCollectionOperator names these tokens, and takes max_failed" in str(error)


@pytest.mark.parametrize("status", [404, 410, 400, None], ids=["404", "410", "400", "in the middle"])
def test_a_task_that_starts_in_the_triggerer_refreshes_the_tokens_in_a_worker(
    status: int | None, emulator: AlchemyEmulator
) -> None:
    emulator.configure(reingest_gone=status)

    with nullcontext() if status else gone_in_the_middle(emulator):
        result = lead_from_trigger(with_tokens(start_from_trigger=True))

    assert (result["state"], set(result)) == ("finished", RESULT_KEYS)
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

    @pytest.mark.parametrize("stays_unknown", [False, True])
    def test_a_host_that_does_not_exist(
        self, stays_unknown: bool, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch, task_log: TaskLog
    ) -> None:
        # An address of numbers is not looked up.
        host = emulator.url.replace("127.0.0.1", "localhost")
        connection = json.loads(connection_json(emulator, compute_units_per_second=1_000_000, max_attempts=1))
        monkeypatch.setenv(CONNECTION_VARIABLE, json.dumps({**connection, "host": f"{host}/eth-mainnet"}))
        ask, asked = socket.getaddrinfo, []

        def unknown(*arguments: Any, **further: Any) -> Any:
            asked.append(arguments)
            if stays_unknown or len(asked) == 1:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return ask(*arguments, **further)

        monkeypatch.setattr(socket, "getaddrinfo", unknown)

        if stays_unknown:
            error = failure(with_tokens())
            assert isinstance(error, AlchemyHostNotFoundError)
            assert isinstance(error, AirflowFailException)
            return
        result = Life().lead(with_tokens())
        assert (result["state"], reingest_calls(emulator)) == ("finished", 0)
        assert result["compute_units"] == emulator.compute_units == PRICE
        assert "reingestContract is gone (host localhost" in task_log()


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

    @pytest.mark.usefixtures("no_pauses")
    @pytest.mark.parametrize(
        ("limit", "spent"),
        [
            (REINGEST + METADATA - 1, REINGEST),
            (REINGEST + PRICE - 1, REINGEST + METADATA),
            (REINGEST + PRICE + BATCH, REINGEST + PRICE + BATCH),
        ],
        ids=["the number of tokens", "the tokens", "further attempts"],
    )
    def test_it_refuses_what_it_does_not_pay_for(self, limit: int, spent: int, emulator: AlchemyEmulator) -> None:
        emulator.set_tokens(ADDRESS, [1], stale=True)
        emulator.configure(reingest_gone=410)

        error = failure(with_tokens(max_compute_units=limit))

        assert isinstance(error, AlchemySpendingLimitError)
        assert isinstance(error, AirflowFailException)
        assert emulator.compute_units == spent
        assert f"{spent:,} are spent" in str(error) or f"for {spent:,} compute units" in str(error)
        assert "Raise max_compute_units, which counts for reingestContract and the tokens together" in str(error)


def test_killed_it_says_what_goes_on_at_alchemy(emulator: AlchemyEmulator, task_log: TaskLog) -> None:
    emulator.configure(reingest_gone=410)
    task = with_tokens()

    task.on_kill()
    assert f"The refresh of {ADDRESS} goes on at Alchemy, which cannot cancel it" in task_log()

    task.execute(context_of())
    task.on_kill()
    assert f"The refresh of {ADDRESS} stops here" in task_log()


class KillingStore(StateStore):
    """A store whose process is killed after it has saved the tokens' state so often."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def set(self, key: str, value: Any) -> None:
        super().set(key, value)
        self.times -= key == "alchemy_collection"
        if self.times <= 0:
            raise SystemExit


def in_try(number: int, store: StateStore | None, *, max_tries: int = 2) -> dict[str, Any]:
    instance = TaskInstance(try_number=number, max_tries=max_tries)
    return context_without_store(instance) if store is None else context_of(instance, store)


def after_a_kill(task: Any, saves: int) -> StateStore:
    """Run the first try of a task until it is killed, and give what it has left in the store."""
    killing, left = KillingStore(saves), StateStore()
    with pytest.raises(SystemExit):
        Life().lead(task, in_try(1, killing))
    left.texts = dict(killing.texts)
    return left


@in_the_worker_and_deferred
class TestARetry:
    @pytest.mark.parametrize("saves", [1, 3], ids=["before the first token", "in the middle"])
    def test_after_a_kill_goes_on_and_does_not_ask_reingest_contract_again(
        self, saves: int, deferrable: bool, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        with gone_in_the_middle(emulator):
            store = after_a_kill(with_tokens(deferrable=deferrable, retries=2), saves)
        before = reingest_calls(emulator)

        result = Life().lead(with_tokens(deferrable=deferrable, retries=2), in_try(2, store))

        assert (result["state"], set(result)) == ("finished", RESULT_KEYS)
        assert (reingest_calls(emulator), emulator.count("getContractMetadata")) == (before, 1)
        assert emulator.compute_units >= result["compute_units"] >= PRICE + before * REINGEST
        assert saves > 1 or result["polls"] == emulator.count(None)
        assert "an earlier try found reingestContract gone; going on with the tokens one by one" in task_log()
        assert emulator.api_key not in "".join(store.texts.values())

    @pytest.mark.usefixtures("no_pauses")
    def test_asks_only_for_the_tokens_that_are_left(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        emulator.set_tokens(ADDRESS, [7], stale=True)
        store = StateStore()
        with gone_in_the_middle(emulator):
            error = failure(with_tokens(deferrable=deferrable, retries=2), in_try(1, store))
        assert isinstance(error, AlchemyTokensFailedError)
        assert not isinstance(error, AirflowFailException)
        assert "Retry the task; RefreshCollectionOperator names these tokens" in str(error)
        emulator.set_tokens(ADDRESS, [7])
        before = len(emulator.calls)

        result = Life().lead(with_tokens(deferrable=deferrable, retries=2), in_try(2, store))

        assert [tuple(map(int, call.token_ids)) for call in emulator.calls[before:]] == [(7,)]
        assert (result["polls"], result["compute_units"]) == (emulator.count(None), emulator.compute_units)

    @pytest.mark.parametrize(
        ("arguments", "max_tries"),
        [({}, 3), ({"contract_address": OTHER_ADDRESS}, 2)],
        ids=["of a cleared task", "of another collection"],
    )
    def test_of_other_work_asks_reingest_contract_again(
        self, arguments: dict[str, Any], max_tries: int, deferrable: bool, emulator: AlchemyEmulator
    ) -> None:
        store = StateStore()
        with gone_in_the_middle(emulator):
            Life().lead(with_tokens(deferrable=deferrable, retries=2), in_try(1, store))
        emulator.configure(reingest_gone=None)
        emulator.set_default_job(running_seconds=0)
        emulator.set_job(ADDRESS, running_seconds=0)
        before = len(emulator.calls)

        task = with_tokens(deferrable=deferrable, retries=2, **arguments)
        Life().lead(task, in_try(2, store, max_tries=max_tries))

        assert [call.endpoint for call in emulator.calls[before:]] == ["reingestContract"]

    @pytest.mark.usefixtures("before_3_3")
    def test_without_a_store_does_everything_again(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=410)
        task = with_tokens(deferrable=deferrable, retries=2)
        Life().lead(task, in_try(1, None))

        result = Life().lead(task, in_try(2, None))

        assert (result["state"], reingest_calls(emulator)) == ("finished", 2)


@pytest.mark.usefixtures("no_pauses")
def test_a_retry_that_starts_in_the_triggerer_counts_what_asking_has_cost_in_each_try(
    emulator: AlchemyEmulator,
) -> None:
    emulator.set_tokens(ADDRESS, [7], stale=True)
    emulator.configure(reingest_gone=410)
    store = StateStore()
    for number in (1, 2):
        with pytest.raises(AlchemyTokensFailedError):
            lead_from_trigger(with_tokens(start_from_trigger=True, retries=2), in_try(number, store))
    emulator.set_tokens(ADDRESS, [7])

    result = lead_from_trigger(with_tokens(start_from_trigger=True, retries=2), in_try(3, store))

    assert reingest_calls(emulator) == 3
    assert (result["polls"], result["compute_units"]) == (emulator.count(None), emulator.compute_units)
