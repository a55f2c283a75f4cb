# SPDX-License-Identifier: Apache-2.0
"""The refresh of a collection against a real server: what is proven, what it costs, what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from typing import Any, cast

import pytest

from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.endpoints import Call
from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyError,
    AlchemyRateLimitError,
    AlchemyServerError,
    AlchemySpendingLimitError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.api.models import Token, TokenPage, TokensById
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import SpendingLimit
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.tokens.refresh import (
    MAX_EMPTY_PAGES,
    MAX_WORKERS,
    CollectionRefresh,
    RefreshOptions,
    Saver,
)
from airflow_provider_alchemy.tokens.result import RefreshLog, result_of
from airflow_provider_alchemy.tokens.state import CollectionState, Method, Stage
from tests.tasks.tokens import BATCH, LISTING, QUEUE, counts, first_requests, really_refreshed
from tests.waiting import eventually

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("quick_backoff")]

SETTINGS: dict[str, Any] = {"compute_units_per_second": 1_000_000, "timeout": 60, "verify": False}
ADDRESS = "0x00000000000000000000000000000000000000c0"
LOG = RefreshLog(logging.getLogger(__name__), "Collection")
FAULTS: list[dict[str, Any]] = [
    {"kind": "http", "status": 500},
    {"kind": "http", "status": 503, "body": "html"},
    {"kind": "http", "status": 429, "message": "compute units per second"},
    {"kind": "cut"},
    {"kind": "cut_json"},
    {"kind": "html"},
    {"kind": "empty"},
    {"kind": "reset"},
    {"kind": "wrong_types", "fields": {"nfts": 5}},
    {"kind": "wrong_types"},
    {"kind": "other_contract"},
]


@pytest.fixture
def emulator() -> Iterator[AlchemyEmulator]:
    with AlchemyEmulator(units_per_second=None) as running:
        yield running


@dataclass
class Refresh:
    """A refresh whose processes are one after the other, as a task's are."""

    emulator: AlchemyEmulator
    method: Method = Method.BATCH
    token_ids: Any = None
    network: str = "eth-mainnet"
    supply: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    saved: list[str] = field(default_factory=list)
    state: CollectionState = field(init=False)

    def __post_init__(self) -> None:
        digest = "" if self.token_ids is None else "d"
        self.state = CollectionState.begin(ADDRESS, self.network, self.method, digest)
        self.state.supply = self.supply

    def save(self, value: dict[str, Any]) -> None:
        self.saved.append(json.dumps(value))

    async def run(self, **options: Any) -> CollectionState:
        emulated = {"api_key": self.emulator.api_key, "host": f"{self.emulator.url}/{self.network}"}
        settings = ClientSettings(**SETTINGS | emulated | {"network": self.network} | self.settings)
        known = {"interval_seconds": 0.05, "spending_limit": SpendingLimit(), "save": self.save}
        async with AsyncAlchemyClient(settings) as client:
            chosen = RefreshOptions(**{**known, **self.options, **options})
            assert await CollectionRefresh(client, self.state, self.token_ids, chosen, LOG).run()
        return self.state

    async def failure(self, **options: Any) -> AlchemyError:
        with pytest.raises(AlchemyError) as caught:
            await self.run(**options)
        return caught.value

    def restore(self) -> None:
        """Take over what was saved last, as the process after a kill does."""
        state = CollectionState.from_dict(json.loads(self.saved[-1]))
        assert state is not None
        self.state = state

    @property
    def counts(self) -> dict[str, int]:
        found: dict[str, int] = result_of(self.state)["counts"]
        return found

    def refreshed(self, tokens: range) -> set[int]:
        """Give the tokens that the state counts as refreshed: all that it does not name."""
        named = {token_id for failed in self.state.failed for token_id in failed.token_ids}
        assert self.state.refreshed == len(tokens) - len(named)
        return set(tokens) - named


class TestBatch:
    @pytest.mark.parametrize("form", ["object", "array"])
    async def test_a_collection_is_refreshed_and_proven(self, form: str, emulator: AlchemyEmulator) -> None:
        emulator.configure(batch_form=form)
        emulator.set_collection(ADDRESS, tokens=1234)
        refresh = Refresh(emulator, supply=1234)

        state = await refresh.run()

        assert refresh.counts == counts(1234)
        assert (emulator.count(BATCH), emulator.count(LISTING)) == (13, 13)
        assert set(emulator.asked_tokens(BATCH).values()) == {1}
        assert really_refreshed(emulator, ADDRESS) == refresh.refreshed(range(1234))
        assert (state.polls, state.compute_units) == (emulator.count(), emulator.compute_units)

    @pytest.mark.parametrize(
        ("token_ids", "tokens", "calls"),
        [(None, 0, 1), ((), 0, 0), (tuple(range(0, 2500, 2)), 1250, 13)],
        ids=["an empty collection", "no token", "given tokens"],
    )
    async def test_only_a_whole_collection_is_listed(
        self, token_ids: Any, tokens: int, calls: int, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=5000 if token_ids else 0)
        refresh = Refresh(emulator, token_ids=token_ids)

        assert (await refresh.run()).stage is Stage.DONE

        assert (refresh.counts, emulator.count()) == (counts(tokens), calls)
        assert emulator.asked_tokens() == Counter(token_ids or ())

    async def test_pages_of_a_few_tokens_make_full_batches(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(page_size=7, last_page_key="null", page_key_form="decimal")
        emulator.set_collection(ADDRESS, tokens=300)
        refresh = Refresh(emulator)

        await refresh.run()

        assert (refresh.counts, emulator.count(BATCH)) == (counts(300), 3)

    async def test_a_collection_that_grows_while_it_is_read_is_refreshed_whole(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=900)
        emulator.add_fault("slow", endpoint=LISTING, seconds=0.03)
        refresh = Refresh(emulator, supply=900)

        running = asyncio.create_task(refresh.run())
        await asyncio.to_thread(eventually, lambda: emulator.count(LISTING) >= 3)
        emulator.grow_collection(ADDRESS, 250)
        await running

        assert refresh.counts == counts(1150)
        assert set(emulator.asked_tokens(BATCH)) == set(range(1150))

    async def test_pages_are_read_while_tokens_are_refreshed(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=500)
        emulator.add_fault("slow", endpoint=BATCH, seconds=60)
        running = asyncio.create_task(Refresh(emulator).run())

        await asyncio.to_thread(eventually, lambda: emulator.count(LISTING) == 5)

        running.cancel()

    async def test_stale_tokens_are_tried_again_and_nothing_else(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=250)
        emulator.set_tokens(ADDRESS, range(10), stale_refreshes=2)
        emulator.set_tokens(ADDRESS, [20], stale=True)
        emulator.set_tokens(ADDRESS, [30], error="Throttled token uri", error_answers=1)
        emulator.set_tokens(ADDRESS, [40], error="Malformed token uri")
        refresh = Refresh(emulator, supply=250, options={"interval_seconds": 0.3})

        state = await refresh.run()

        assert refresh.counts == counts(250, stale=1, failed=1)
        failed = {tokens.reason: tokens.token_ids for tokens in state.failed}
        assert failed == {"stale": (20,), "malformed_token_uri": (40,)}
        again = {token_id: times for token_id, times in emulator.asked_tokens(BATCH).items() if times > 1}
        assert again == {**dict.fromkeys(range(10), 3), 20: 3, 30: 2}
        assert really_refreshed(emulator, ADDRESS) >= refresh.refreshed(range(250))
        attempts = [call.at for call in emulator.calls if 20 in call.token_ids and call.endpoint == BATCH]
        assert all(later - earlier >= 0.3 for earlier, later in pairwise(attempts))

    async def test_a_refresh_that_takes_a_while_is_proven_by_the_next_attempt(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=150, refresh_seconds=0.15)
        refresh = Refresh(emulator, options={"interval_seconds": 0.2})

        await refresh.run()

        assert refresh.counts == counts(150)
        assert set(emulator.asked_tokens(BATCH).values()) == {2}

    async def test_a_pause_that_is_too_long_is_left_to_the_task(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=5)
        emulator.set_tokens(ADDRESS, [0], stale=True)
        state = CollectionState.begin(ADDRESS, "eth-mainnet")
        settings = ClientSettings(**SETTINGS, api_key=emulator.api_key, host=f"{emulator.url}/eth-mainnet")
        async with AsyncAlchemyClient(settings) as client:
            options = RefreshOptions(spending_limit=SpendingLimit())
            assert not await CollectionRefresh(client, state, range(5), options, LOG).run(max_pause_seconds=5)

        assert state.next_at is not None
        assert state.next_at.timestamp() - emulator.calls[-1].at >= 10
        assert (state.stage, state.attempt, emulator.count()) == (Stage.REFRESH, 2, 1)


class TestQueue:
    async def test_each_token_is_queued_once_and_proven_by_reading(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=250, queue_seconds=0.1)
        refresh = Refresh(emulator, Method.QUEUE, supply=250)

        state = await refresh.run()

        assert refresh.counts == counts(250)
        assert emulator.asked_tokens(QUEUE) == Counter(range(250))
        assert not any(call.refreshes for call in emulator.calls if call.endpoint == BATCH)
        assert really_refreshed(emulator, ADDRESS) == refresh.refreshed(range(250))
        assert state.compute_units == emulator.compute_units

    @pytest.mark.parametrize("repeated", ["accepted", "refused"])
    async def test_none_is_queued_twice_in_a_quarter_of_an_hour(self, repeated: str, emulator: AlchemyEmulator) -> None:
        emulator.configure(repeated_refresh=repeated)
        emulator.set_collection(ADDRESS, tokens=30, queue_seconds=0.05)
        emulator.set_tokens(ADDRESS, range(10), stale=True)
        refresh = Refresh(emulator, Method.QUEUE)

        await refresh.run()

        assert refresh.counts == counts(30, stale=10)
        assert set(emulator.asked_tokens(QUEUE).values()) == {1}

    @pytest.mark.parametrize("repeated", ["accepted", "refused"])
    async def test_tokens_that_somebody_queued_before_do_not_count_as_refreshed(
        self, repeated: str, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=20, queue_seconds=0)
        await Refresh(emulator, Method.QUEUE, token_ids=range(5)).run()
        emulator.configure(repeated_refresh=repeated)
        refresh = Refresh(emulator, Method.QUEUE)

        await refresh.run()

        assert refresh.counts == counts(20, stale=5)

    async def test_an_estimate_without_end_is_not_waited_for(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=1, queue_seconds=1e9)
        refresh = Refresh(emulator, Method.QUEUE)
        running = asyncio.create_task(refresh.run())
        await asyncio.to_thread(eventually, lambda: refresh.state.stage is Stage.PROVE)
        running.cancel()

        assert refresh.state.next_at is not None
        assert refresh.state.next_at.timestamp() - first_requests(emulator)[0] < 901

    async def test_the_state_stays_small_while_thousands_are_queued(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=2000, queue_seconds=0.01)
        refresh = Refresh(emulator, Method.QUEUE, token_ids=range(2000))

        await refresh.run()

        assert refresh.counts == counts(2000)
        assert max(map(len, refresh.saved)) < 200 * 20 + 2000


class TestTroubles:
    @pytest.mark.parametrize("method", Method)
    async def test_a_fifth_of_all_answers_may_be_faulty(self, method: Method, emulator: AlchemyEmulator) -> None:
        tokens = 300 if method is Method.QUEUE else 3000
        emulator.set_collection(ADDRESS, tokens=tokens, queue_seconds=0.05)
        emulator.set_tokens(ADDRESS, range(50), stale_refreshes=1)
        emulator.set_tokens(ADDRESS, range(50, 60), stale=True)
        emulator.set_tokens(ADDRESS, range(60, 65), error="Token does not exist")
        for fault in FAULTS:
            for is_after in (False, True):
                emulator.add_fault(**fault, probability=0.01, after_processing=is_after)
        refresh = Refresh(emulator, method, settings={"max_attempts": 8}, options={"token_attempts": 5})

        await refresh.run()

        found = refresh.counts
        assert (found["tokens"], found["failed"]) == (tokens, 5)
        assert {token for failed in refresh.state.failed for token in failed.token_ids} >= set(range(50, 65))
        assert refresh.refreshed(range(tokens)) <= really_refreshed(emulator, ADDRESS)
        if method is not Method.QUEUE:
            assert found == counts(tokens, stale=10, failed=5)

    @pytest.mark.parametrize("max_attempts", [1, 5])
    async def test_an_account_that_is_throttled_is_no_tokens_trouble(
        self, max_attempts: int, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=500)
        emulator.add_fault("http", status=429, message="compute units per second", times=6)
        refresh = Refresh(emulator, settings={"max_attempts": max_attempts})

        state = await refresh.run()

        assert refresh.counts == counts(500)
        assert state.compute_units == emulator.compute_units == 5 * 1080

    @pytest.mark.parametrize(("status", "kind"), [(500, AlchemyServerError), (429, AlchemyRateLimitError)])
    async def test_a_service_that_stays_down_or_refuses_the_account_ends_it(
        self, status: int, kind: type[AlchemyError], emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("airflow_provider_alchemy.tokens.refresh.MAX_THROTTLED", timedelta(0))
        monkeypatch.setattr("airflow_provider_alchemy.tokens.refresh.MAX_SILENCE", timedelta(0))
        emulator.set_collection(ADDRESS, tokens=5000)
        emulator.add_fault("http", status=status, endpoint=BATCH)
        refresh = Refresh(emulator, settings={"max_attempts": 1}, options={"token_attempts": 1000})

        assert isinstance(await refresh.failure(), kind)

        assert refresh.state.remaining + sum(one.count for one in refresh.state.unproven) > 0

    async def test_what_concerns_all_tokens_ends_it_and_what_is_paid_is_saved(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=3000)
        refresh = Refresh(emulator, supply=3000)
        running = asyncio.create_task(refresh.failure())
        await asyncio.to_thread(eventually, lambda: emulator.count(BATCH) >= 5)
        emulator.add_fault("http", status=401)

        assert isinstance(await running, AlchemyAuthenticationError)
        emulator.clear_faults()
        asked = emulator.asked_tokens(BATCH)
        refresh.restore()
        await refresh.run()

        assert refresh.counts == counts(3000)
        again = {token for token, times in emulator.asked_tokens(BATCH).items() if times > 1}
        assert len(again) <= 100 * MAX_WORKERS
        assert sum(asked.values()) > 0

    @pytest.mark.parametrize("method", Method)
    async def test_a_limit_that_is_reached_saves_what_was_paid(self, method: Method, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=250, queue_seconds=0.01)
        refresh = Refresh(emulator, method, token_ids=range(250))
        limit = 960 if method is Method.BATCH else 125 * 40

        error = await refresh.failure(spending_limit=SpendingLimit(limit))
        assert isinstance(error, AlchemySpendingLimitError)
        assert refresh.state.compute_units == emulator.compute_units == limit

        refresh.restore()
        state = await refresh.run()

        assert refresh.counts == counts(250)
        assert state.compute_units == emulator.compute_units
        assert set(emulator.asked_tokens(QUEUE if method is Method.QUEUE else BATCH).values()) == {1}


class Book:
    """A client of pages by the key that leads to them; of no token it knows more than its id."""

    def __init__(self, *pages: tuple[Sequence[int], str | None], first: str | None = None) -> None:
        keys = [first, *(key for _, key in pages[:-1])]
        self._pages = dict(zip(keys, pages, strict=True))
        self.asked: list[str | None] = []
        self.settings = ClientSettings(api_key="some-key")

    async def send(self, call: Call[Any], **_: Any) -> Any:
        if call.endpoint.name != LISTING:
            return TokensById()
        key = (call.params or {}).get("startToken")
        self.asked.append(key)
        ids, next_key = self._pages[key]
        return TokenPage(tuple(Token(ADDRESS, token_id) for token_id in ids), next_key=next_key)

    async def read(self, **known: Any) -> list[int]:
        """Read the pages, and give the tokens in order."""
        state = CollectionState.begin(ADDRESS, "eth-mainnet")
        for name, value in known.items():
            setattr(state, name, value)
        options = RefreshOptions(spending_limit=SpendingLimit(), token_attempts=1)
        await CollectionRefresh(cast("AsyncAlchemyClient", self), state, None, options, LOG).run()
        return sorted(token_id for failed in state.failed for token_id in failed.token_ids)


class TestPages:
    @pytest.mark.parametrize(
        ("book", "known", "ids"),
        [
            (Book(([0, 1], "0x2"), ([2, 3], "0x4"), ([4], None)), {}, [0, 1, 2, 3, 4]),
            (Book(([], None)), {}, []),
            (Book(([2, 3], "0x4"), ([4], None), first="0x2"), {"next_key": "0x2", "tokens": 2}, [2, 3, 4]),
            (Book(([0, 1, 1], "0x2"), ([1, 2], None)), {}, [0, 1, 2]),
            (Book(*[([], f"key {number}") for number in range(MAX_EMPTY_PAGES - 1)], ([], None)), {}, []),
        ],
        ids=["to the last", "an empty one", "where a process stopped", "that overlap", "many empty ones"],
    )
    async def test_they_are_followed(self, book: Book, known: dict[str, Any], ids: list[int]) -> None:
        assert await book.read(**known) == ids

        assert book.asked == list(book._pages)

    @pytest.mark.parametrize(
        ("book", "words", "asked"),
        [
            (Book(([0], "0x2"), ([2], "0x4"), ([4], "0x2")), "as the next page, which was read before", 3),
            (Book(([0], "0x2"), ([2], "0x4"), ([4], "0x4")), "as the next page, which was read before", 3),
            (
                Book(*[([0, 1], f"key {number}") for number in range(50)], ([], None)),
                "10 pages in a row had no new token",
                MAX_EMPTY_PAGES + 1,
            ),
        ],
        ids=["in a circle", "to itself", "without a new token"],
    )
    async def test_those_that_would_not_end_are_an_error(self, book: Book, words: str, asked: int) -> None:
        with pytest.raises(AlchemyUnexpectedAnswerError, match=words):
            await book.read()

        assert len(book.asked) == asked


class SlowStore:
    """A store that saves nothing before it is allowed to."""

    def __init__(self) -> None:
        self.done = 0
        self.saves: list[int] = []
        self.begun = self.in_flight = self.most_in_flight = 0
        self.allowed = threading.Semaphore(0)
        self.failing: set[int] = set()
        self.saver = Saver(lambda: {"done": self.done}, self.save)

    def save(self, value: dict[str, Any]) -> None:
        self.begun += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        assert self.allowed.acquire(timeout=60)
        self.in_flight -= 1
        if self.begun in self.failing:
            msg = "away"
            raise ConnectionError(msg)
        self.saves.append(value["done"])

    async def work(self) -> None:
        self.done += 1
        await self.saver.save()

    async def has_begun(self, saves: int) -> None:
        await asyncio.to_thread(eventually, lambda: self.begun == saves)


class TestSaving:
    async def test_all_that_happens_before_a_save_is_in_it_and_the_rest_in_the_next(self) -> None:
        store = SlowStore()
        first = asyncio.create_task(store.work())
        await store.has_begun(1)
        later = [asyncio.create_task(store.work()) for _ in range(20)]
        await asyncio.sleep(0)
        assert not first.done()
        store.allowed.release(2)

        await asyncio.gather(first, *later)

        assert (store.saves, store.most_in_flight) == ([1, 21], 1)

    async def test_one_that_is_cancelled_is_not_overtaken(self) -> None:
        store = SlowStore()
        first = asyncio.create_task(store.work())
        await store.has_begun(1)
        other = asyncio.create_task(store.work())
        first.cancel()
        store.allowed.release(2)

        await other

        assert (store.saves, store.most_in_flight, first.cancelled()) == ([1, 2], 1, True)

    async def test_one_that_fails_fails_no_other(self) -> None:
        store = SlowStore()
        store.failing = {1}
        store.allowed.release(2)
        with pytest.raises(ConnectionError):
            await store.work()

        await store.work()

        assert store.saves == [2]

    async def test_without_a_store_nothing_is_waited_for(self) -> None:
        refuse = cast("Callable[[], dict[str, Any]]", None)

        await Saver(refuse, None).save()
