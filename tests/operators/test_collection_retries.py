# SPDX-License-Identifier: Apache-2.0
"""What outlives a process of the operator for a collection's tokens: kills, time-outs, retries, stores that fail."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowTaskTimeout

from airflow_provider_alchemy.api.errors import AlchemyServerError, AlchemySpendingLimitError, AlchemyTokensFailedError
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.tokens.refresh import MAX_QUEUE_CALLS, MIN_WORKERS
from tests.conftest import ConnectTo, TaskLog
from tests.tasks.lives import ADDRESS, OTHER_ADDRESS
from tests.tasks.tokens import (
    BATCH,
    LISTING,
    METADATA,
    QUEUE,
    MortalStore,
    Tries,
    calls_meanwhile,
    counts,
    really_refreshed,
    refresh,
)
from tests.tasks.tokens import short_intervals as short_intervals  # noqa: PLC0414 - a fixture

pytestmark = pytest.mark.integration

TOKENS = 3000


@pytest.fixture
def collection(emulator: AlchemyEmulator) -> AlchemyEmulator:
    emulator.set_collection(ADDRESS, tokens=TOKENS, queue_seconds=0.01)
    return emulator


class TestAWorkerThatIsKilled:
    @pytest.mark.parametrize("saves", [[1], [2], [3], [4], [5], [8], [3, 3, 3, 3]], ids=str)
    def test_the_retry_repeats_no_more_than_was_in_flight(
        self, saves: list[int], collection: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        tries = Tries()
        assert tries.store is not None
        for number in saves:
            tries.killed(refresh(), number)
            tries.next_try()
        proven = tries.store.record.get("refreshed", 0) if tries.store.texts else None

        result = tries.lead(refresh())

        assert (result["counts"], collection.count(METADATA)) == (counts(TOKENS), 2 if proven is None else 1)
        asked = collection.asked_tokens(BATCH)
        assert set(asked) == really_refreshed(collection) == set(range(TOKENS))
        assert sum(asked.values()) - TOKENS <= len(saves) * TOKENS // 10
        logged = task_log()
        if proven is not None:
            assert f"An earlier try has proven {proven:,} tokens fresh: asking for the others only" in logged
            assert f"refreshing {TOKENS - proven:,} tokens with method 'batch' costs" in logged

    @pytest.mark.parametrize("saves", [1, 2, 3, 6])
    def test_tokens_that_were_queued_are_proven_all_the_same(
        self, saves: int, collection: AlchemyEmulator, short_intervals: float
    ) -> None:
        tries = Tries()
        task = refresh(method="queue", token_ids=range(1000), attempt_interval=short_intervals)
        tries.killed(task, saves)
        before = collection.asked_tokens(QUEUE)
        tries.next_try()

        result = tries.lead(task)

        assert (result["counts"], set(collection.asked_tokens(QUEUE))) == (counts(1000), set(range(1000)))
        again = [token for token, times in collection.asked_tokens(QUEUE).items() if times > 1]
        # What the killed worker had sent may reach the service after its death.
        assert len(set(again) - set(before)) <= MAX_QUEUE_CALLS
        assert len(again) <= 100 * MIN_WORKERS

    @pytest.mark.usefixtures("before_3_3")
    def test_without_a_store_it_starts_over_and_says_so(self, collection: AlchemyEmulator, task_log: TaskLog) -> None:
        tries = Tries(store=None)
        collection.add_fault("http", status=401, endpoint=LISTING)
        tries.failure(refresh())
        collection.clear_faults()
        tries.next_try()

        assert tries.lead(refresh())["counts"] == counts(TOKENS)

        assert "Airflow keeps nothing of a task before 3.3: a retry asks for all tokens again" in task_log()


class TestTheTimeOfATask:
    @pytest.fixture
    def alarms(self) -> Iterator[None]:
        def ring(*_: object) -> None:
            msg = "time is over"
            raise AirflowTaskTimeout(msg)

        before = signal.signal(signal.SIGUSR1, ring)
        yield
        signal.signal(signal.SIGUSR1, before)

    @pytest.mark.usefixtures("alarms")
    @pytest.mark.parametrize("calls", [2, 9, 20, 31])
    def test_it_ends_the_task_wherever_it_is_and_nothing_is_lost(self, calls: int, collection: AlchemyEmulator) -> None:
        main = threading.main_thread().ident
        assert main is not None
        is_over = threading.Event()

        def watch() -> None:
            while collection.count() < calls and not is_over.wait(0.001):
                pass
            signal.pthread_kill(main, signal.SIGUSR1)

        watcher = threading.Thread(target=watch)
        tries = Tries()
        watcher.start()
        failure = tries.failure(refresh())
        is_over.set()
        watcher.join()

        assert type(failure) is AirflowTaskTimeout
        tries.next_try()
        assert tries.lead(refresh())["counts"] == counts(TOKENS)
        asked = collection.asked_tokens(BATCH)
        assert sum(asked.values()) - TOKENS <= TOKENS // 10


class TestARetry:
    def test_it_asks_only_for_what_was_given_up(self, collection: AlchemyEmulator, short_intervals: float) -> None:
        collection.set_tokens(ADDRESS, range(10), stale_refreshes=2)
        collection.set_tokens(ADDRESS, [20], error="Token does not exist")
        tries, task = Tries(), refresh(token_attempts=2, attempt_interval=short_intervals, max_failed=1)
        assert isinstance(tries.failure(task), AlchemyTokensFailedError)
        tries.next_try()

        with calls_meanwhile(collection) as calls:
            result = tries.lead(task)

        assert [call.token_ids for call in calls(None)] == [tuple(range(10))]
        assert result["counts"] == counts(TOKENS, failed=1)
        assert result["compute_units"] == collection.compute_units

    def test_of_a_finished_refresh_nothing_is_asked(self, collection: AlchemyEmulator) -> None:
        tries = Tries()
        first = tries.lead(refresh())
        tries.next_try()

        with calls_meanwhile(collection) as calls:
            again = tries.lead(refresh())

        assert (again, calls(None)) == (first, [])

    def test_a_task_that_a_user_clears_asks_for_all_again(self, collection: AlchemyEmulator) -> None:
        tries = Tries()
        tries.lead(refresh())
        tries.clear()

        assert tries.lead(refresh())["counts"] == counts(TOKENS)

        assert set(collection.asked_tokens(BATCH).values()) == {2}

    @pytest.mark.parametrize(
        "other",
        [{"token_ids": [1, 2]}, {"token_ids": []}, {"method": "queue"}, {"contract_address": OTHER_ADDRESS}],
        ids=str,
    )
    def test_other_work_begins_anew(self, other: dict[str, Any], collection: AlchemyEmulator) -> None:
        collection.set_collection(OTHER_ADDRESS, tokens=50)
        tries = Tries()
        tries.lead(refresh(token_ids=[1, 2, 3]))
        tries.next_try()

        with calls_meanwhile(collection) as calls:
            result = tries.lead(refresh(**other))

        assert result["counts"]["refreshed"] == result["counts"]["tokens"]
        assert bool(calls(BATCH) or collection.count(BATCH, OTHER_ADDRESS)) is (other != {"token_ids": []})

    def test_units_are_those_of_all_tries(self, collection: AlchemyEmulator, connect: ConnectTo) -> None:
        connect(max_attempts=1)
        tries = Tries()
        collection.add_fault("http", status=500, endpoint=METADATA, times=1)
        assert isinstance(tries.failure(refresh(max_compute_units=160)), AlchemyServerError)
        tries.next_try()
        assert isinstance(tries.failure(refresh(max_compute_units=400)), AlchemySpendingLimitError)
        tries.next_try()

        result = tries.lead(refresh())

        assert (result["compute_units"], result["polls"]) == (collection.compute_units, collection.count())
        assert collection.count(METADATA) == 2


class TestTheStore:
    @pytest.mark.parametrize("fails_at", [{1}, {2}, {3, 4}, set(range(1, 1000))], ids=["1", "2", "3 and 4", "all"])
    def test_one_that_fails_fails_no_refresh(
        self, fails_at: set[int], collection: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        tries = Tries(store=MortalStore(fails_at=frozenset(fails_at)))

        assert tries.lead(refresh())["counts"] == counts(TOKENS)

        assert "Could not save the state of the task for a retry: the API server is away" in task_log()
        assert set(collection.asked_tokens(BATCH).values()) == {1}

    def test_one_that_cannot_be_read_starts_over(
        self, collection: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch, task_log: TaskLog
    ) -> None:
        def fail(*_: Any) -> None:
            msg = "the API server is away"
            raise ConnectionError(msg)

        tries = Tries()
        tries.killed(refresh(), 4)
        tries.next_try()
        monkeypatch.setattr(MortalStore, "get", fail)

        assert tries.lead(refresh())["counts"] == counts(TOKENS)

        assert "Could not read what an earlier process of the task saved: the API server is away" in task_log()
        assert collection.count(METADATA) == 2

    @pytest.mark.parametrize("text", ["null", "5", '"text"', "[]", '{"state": 5}'])
    def test_what_is_in_it_may_be_anything(self, text: str, collection: AlchemyEmulator) -> None:
        tries = Tries()
        assert tries.store is not None
        tries.store.texts["alchemy_collection"] = text

        assert tries.lead(refresh())["counts"] == counts(TOKENS)
        assert collection.count(METADATA) == 1

    def test_what_is_kept_does_not_grow_with_what_is_proven(self, collection: AlchemyEmulator) -> None:
        tries = Tries()

        tries.lead(refresh())

        assert tries.store is not None
        record = tries.store.record
        assert not record.keys() & {"todo", "in_flight", "unproven", "failed"}
        assert (record["tokens"], len(json.dumps(record)) < 1000) == (TOKENS, True)
        assert collection.api_key not in json.dumps(tries.store.texts)
