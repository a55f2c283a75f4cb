# SPDX-License-Identifier: Apache-2.0
"""Retries of the operator with ``fallback``: what they know, and what they do not pay for again."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_alchemy.api.errors import (
    AlchemyTokensFailedError,
)
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import TaskLog
from tests.operators.gone import PRICE, REINGEST, gone_in_the_middle, lead_from_trigger, reingest_calls, with_tokens
from tests.operators.gone import collection as collection  # noqa: PLC0414 - a fixture
from tests.operators.gone import no_pauses as no_pauses  # noqa: PLC0414 - a fixture
from tests.tasks.lives import (
    ADDRESS,
    OTHER_ADDRESS,
    RESULT_KEYS,
    Life,
    StateStore,
    TaskInstance,
    context_of,
    context_without_store,
    failure,
    in_the_worker_and_deferred,
)

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("collection")]


class KillingStore(StateStore):
    """A store whose process is killed after it has kept something so often."""

    def __init__(self, key: str, times: int) -> None:
        super().__init__()
        self.key, self.times = key, times

    def set(self, key: str, value: Any) -> None:
        if key == self.key:
            self.times -= 1
            if self.times < 0:
                raise SystemExit
        super().set(key, value)
        if key == self.key and self.times == 0:
            raise SystemExit


def killed(task: Any, store: StateStore) -> None:
    with pytest.raises(SystemExit):
        Life().lead(task, context_of(first_try(), store))


def first_try() -> TaskInstance:
    return TaskInstance(try_number=1, max_tries=2)


def second_try() -> TaskInstance:
    return TaskInstance(try_number=2, max_tries=2)


def kept_by(store: StateStore) -> StateStore:
    fresh = StateStore()
    fresh.texts = dict(store.texts)
    return fresh


@in_the_worker_and_deferred
class TestARetry:
    def test_killed_in_the_middle_of_the_tokens_it_goes_on(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        store = KillingStore("alchemy_collection", 2)
        with gone_in_the_middle(emulator):
            killed(with_tokens(deferrable=deferrable, retries=2), store)
        before, calls = reingest_calls(emulator), emulator.count("getContractMetadata")

        result = Life().lead(with_tokens(deferrable=deferrable, retries=2), context_of(second_try(), kept_by(store)))

        assert (result["state"], set(result)) == ("finished", RESULT_KEYS)
        assert (reingest_calls(emulator), emulator.count("getContractMetadata")) == (before, calls)
        assert emulator.compute_units >= result["compute_units"] >= PRICE + before * REINGEST

    def test_killed_before_the_first_token_it_does_not_ask_reingest_contract_again(
        self, deferrable: bool, emulator: AlchemyEmulator
    ) -> None:
        store = KillingStore("alchemy_fallback", 1)
        with gone_in_the_middle(emulator):
            killed(with_tokens(deferrable=deferrable, retries=2), store)
        before = reingest_calls(emulator)

        result = Life().lead(with_tokens(deferrable=deferrable, retries=2), context_of(second_try(), kept_by(store)))

        assert reingest_calls(emulator) == before
        assert (result["polls"], result["compute_units"]) == (emulator.count(None), emulator.compute_units)

    @pytest.mark.usefixtures("no_pauses")
    def test_it_asks_only_for_the_tokens_that_are_left(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        emulator.set_tokens(ADDRESS, [7], stale=True)
        store = StateStore()
        with gone_in_the_middle(emulator):
            error = failure(with_tokens(deferrable=deferrable, retries=2), context_of(first_try(), store))
        assert type(error) is AlchemyTokensFailedError
        assert "Retry the task; RefreshCollectionOperator names these tokens" in str(error)
        emulator.set_tokens(ADDRESS, [7])
        before = len(emulator.calls)

        result = Life().lead(with_tokens(deferrable=deferrable, retries=2), context_of(second_try(), store))

        assert [tuple(map(int, call.token_ids)) for call in emulator.calls[before:]] == [(7,)]
        assert (result["polls"], result["compute_units"]) == (emulator.count(None), emulator.compute_units)

    def test_it_warns_that_it_goes_on(self, deferrable: bool, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        store = KillingStore("alchemy_fallback", 1)
        with gone_in_the_middle(emulator):
            killed(with_tokens(deferrable=deferrable, retries=2), store)

        Life().lead(with_tokens(deferrable=deferrable, retries=2), context_of(second_try(), kept_by(store)))

        assert "an earlier try found reingestContract gone; going on with the tokens one by one" in task_log()

    def test_a_cleared_task_asks_reingest_contract_again(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        store = StateStore()
        with gone_in_the_middle(emulator):
            Life().lead(with_tokens(deferrable=deferrable, retries=2), context_of(first_try(), store))
        emulator.configure(reingest_gone=None)
        emulator.set_job(ADDRESS, running_seconds=0)
        before = len(emulator.calls)
        cleared = TaskInstance(try_number=2, max_tries=3)

        Life().lead(with_tokens(deferrable=deferrable, retries=2), context_of(cleared, store))

        assert [call.endpoint for call in emulator.calls[before:]] == ["reingestContract"]

    def test_of_another_collection_it_asks_reingest_contract(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        store = StateStore()
        with gone_in_the_middle(emulator):
            Life().lead(with_tokens(deferrable=deferrable, retries=2), context_of(first_try(), store))
        emulator.configure(reingest_gone=None)
        emulator.set_job(OTHER_ADDRESS, running_seconds=0)

        other = with_tokens(contract_address=OTHER_ADDRESS, deferrable=deferrable, retries=2)
        result = Life().lead(other, context_of(second_try(), store))

        assert (result["contract_address"], result["polls"]) == (OTHER_ADDRESS.lower(), 1)

    def test_without_a_store_it_tries_everything_again(self, deferrable: bool, emulator: AlchemyEmulator) -> None:
        emulator.configure(reingest_gone=410)
        task = with_tokens(deferrable=deferrable, retries=2)
        Life().lead(task, context_without_store(first_try()))

        result = Life().lead(task, context_without_store(second_try()))

        assert (result["state"], reingest_calls(emulator)) == ("finished", 2)


@pytest.mark.usefixtures("no_pauses")
def test_a_retry_that_starts_in_the_triggerer_counts_what_asking_has_cost_in_each_try(
    emulator: AlchemyEmulator,
) -> None:
    emulator.set_tokens(ADDRESS, [7], stale=True)
    emulator.configure(reingest_gone=410)
    store = StateStore()
    for number in (1, 2):
        instance = TaskInstance(try_number=number, max_tries=2)
        with pytest.raises(AlchemyTokensFailedError):
            lead_from_trigger(with_tokens(start_from_trigger=True, retries=2), context_of(instance, store))
    emulator.set_tokens(ADDRESS, [7])

    instance = TaskInstance(try_number=3, max_tries=2)
    result = lead_from_trigger(with_tokens(start_from_trigger=True, retries=2), context_of(instance, store))

    assert reingest_calls(emulator) == 3
    assert (result["polls"], result["compute_units"]) == (emulator.count(None), emulator.compute_units)
