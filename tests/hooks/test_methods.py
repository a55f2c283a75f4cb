# SPDX-License-Identifier: Apache-2.0
"""The hook's methods: the same from threads and event loops, each call counted in Airflow's statistics."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_alchemy.api.errors import AlchemyArgumentError, AlchemyError, AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.api.models import Token, TokenRefresh
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.conftest import ConnectTo
from tests.tasks.lives import ADDRESS, LOWER, OTHER_ADDRESS

pytestmark = pytest.mark.integration

Run = Callable[..., Any]

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "reingest_contract": (ADDRESS,),
    "refresh_nft_metadata": (ADDRESS, 7),
    "get_nft_metadata": (ADDRESS, 7),
    "get_nft_metadata_batch": (ADDRESS, [7, "0x8"]),
    "get_nfts_for_contract": (ADDRESS,),
    "get_contract_metadata": (ADDRESS,),
    "get_contract_metadata_batch": ([ADDRESS, OTHER_ADDRESS],),
}
WRONG: dict[str, tuple[Any, ...]] = {
    "reingest_contract": ("0x123",),
    "refresh_nft_metadata": (ADDRESS, -1),
    "get_nft_metadata": (ADDRESS, "x"),
    "get_nft_metadata_batch": (ADDRESS, range(101)),
    "get_nfts_for_contract": ("0x123",),
    "get_contract_metadata": ("0x123",),
    "get_contract_metadata_batch": ([],),
}
EACH = pytest.mark.parametrize("method", ARGUMENTS)


class Statistics:
    """Airflow's statistics, kept."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.gauges: list[tuple[str, float]] = []

    def incr(self, name: str, count: int = 1) -> None:
        self.counters[name] += count

    def gauge(self, name: str, value: float) -> None:
        self.gauges.append((name, value))


@pytest.fixture
def statistics(monkeypatch: pytest.MonkeyPatch) -> Statistics:
    statistics = Statistics()
    monkeypatch.setattr("airflow_provider_alchemy.hooks.alchemy.Stats", statistics)
    return statistics


def run_sync(method: str, *arguments: Any, **options: Any) -> Any:
    with AlchemyHook() as hook:
        value = getattr(hook, method)(*arguments, **options)
        return list(value) if inspect.isgenerator(value) else value


def run_async(method: str, *arguments: Any, **options: Any) -> Any:
    async def run_in_a_loop() -> Any:
        async with AlchemyHook() as hook:
            value = getattr(hook, f"a{method}")(*arguments, **options)
            return [page async for page in value] if inspect.isasyncgen(value) else await value

    return asyncio.run(run_in_a_loop())


@pytest.fixture(params=[run_sync, run_async], ids=["sync", "async"])
def run(request: pytest.FixtureRequest, emulator: AlchemyEmulator) -> Run:
    """Call a method of a hook in either form; pages are all taken."""
    emulator.set_collection(ADDRESS, tokens=250)
    return request.param  # type: ignore[no-any-return]


class TestBothForms:
    @EACH
    def test_they_give_the_same(self, emulator: AlchemyEmulator, method: str) -> None:
        emulator.set_collection(ADDRESS, tokens=250)
        emulator.set_job(ADDRESS, running_seconds=0)

        assert run_sync(method, *ARGUMENTS[method]) == run_async(method, *ARGUMENTS[method])

    @EACH
    def test_they_have_the_same_arguments(self, method: str) -> None:
        sync, in_loop = (inspect.signature(getattr(AlchemyHook, prefix + method)) for prefix in ("", "a"))

        assert sync.parameters == in_loop.parameters

    @EACH
    def test_each_says_what_it_does(self, method: str) -> None:
        assert all(getattr(AlchemyHook, prefix + method).__doc__ for prefix in ("", "a"))


class TestValues:
    def test_a_refresh_is_what_the_service_says(self, run: Run) -> None:
        assert run("refresh_nft_metadata", ADDRESS, 7) == TokenRefresh(Token(LOWER, 7), "Queued", 1.0)

    def test_metadata_is_of_its_token(self, run: Run) -> None:
        assert run("get_nft_metadata", ADDRESS, "0x7").name == "Emulated #7"

    def test_a_batch_is_by_token_id(self, run: Run) -> None:
        assert sorted(run("get_nft_metadata_batch", ADDRESS, [7, "0x8"])) == [7, 8]

    def test_pages_hold_each_token_once(self, run: Run) -> None:
        pages = run("get_nfts_for_contract", ADDRESS)

        assert [token.token_id for page in pages for token in page.tokens] == list(range(250))

    def test_contracts_are_by_address(self, run: Run) -> None:
        found = run("get_contract_metadata_batch", [ADDRESS, OTHER_ADDRESS])

        assert list(found) == [LOWER, OTHER_ADDRESS.lower()]

    @pytest.mark.parametrize(
        ("method", "arguments"), [("get_nft_metadata", (ADDRESS, 7)), ("get_nft_metadata_batch", (ADDRESS, [7]))]
    )
    def test_refreshing_first_asks_the_service_to(
        self, run: Run, emulator: AlchemyEmulator, method: str, arguments: tuple[Any, ...]
    ) -> None:
        run(method, *arguments, refresh=True, uri_timeout_ms=0)

        assert [(call.refreshes, call.http_status) for call in emulator.calls] == [(True, 200)]

    def test_what_is_asked_of_pages_arrives(self, run: Run) -> None:
        pages = run("get_nfts_for_contract", ADDRESS, with_metadata=True, start_token=245, page_size=3)

        assert [[metadata.token.token_id for metadata in page.metadata] for page in pages] == [
            [245, 246, 247],
            [248, 249],
        ]

    @EACH
    @pytest.mark.parametrize("auth", ["path", "header"])
    def test_the_key_goes_where_the_connection_says(
        self, run: Run, emulator: AlchemyEmulator, connect: ConnectTo, method: str, auth: str
    ) -> None:
        connect(auth=auth)
        run(method, *ARGUMENTS[method])

        assert {(call.auth, call.http_status) for call in emulator.calls} == {(auth, 200)}


class TestWhatItCosts:
    @EACH
    def test_statistics_count_calls_and_units(
        self, run: Run, emulator: AlchemyEmulator, statistics: Statistics, method: str
    ) -> None:
        run(method, *ARGUMENTS[method])

        assert statistics.counters == {
            "alchemy.polls": emulator.count(),
            "alchemy.compute_units": emulator.compute_units,
        }

    @EACH
    @pytest.mark.usefixtures("statistics")
    def test_the_callers_usage_counts_on(self, run: Run, emulator: AlchemyEmulator, method: str) -> None:
        usage = Usage(calls=2, compute_units=960)
        run(method, *ARGUMENTS[method], usage=usage)

        assert (usage.calls, usage.compute_units) == (2 + emulator.count(), 960 + emulator.compute_units)

    @EACH
    def test_a_call_that_fails_is_counted(
        self, run: Run, emulator: AlchemyEmulator, statistics: Statistics, method: str
    ) -> None:
        emulator.add_fault("http", status=429)
        usage = Usage()
        with pytest.raises(AlchemyError):
            run(method, *ARGUMENTS[method], usage=usage)

        assert statistics.counters == {"alchemy.polls": 1, "alchemy.throttled": 1}
        assert (usage.calls, usage.throttled) == (1, 1)

    @EACH
    def test_one_that_is_refused_before_it_is_sent_is_not_counted(
        self, run: Run, emulator: AlchemyEmulator, statistics: Statistics, method: str
    ) -> None:
        with pytest.raises(AlchemyArgumentError):
            run(method, *WRONG[method])

        assert (dict(statistics.counters), emulator.count()) == ({}, 0)

    @pytest.mark.usefixtures("quick_backoff")
    def test_each_attempt_is_counted(
        self, run: Run, statistics: Statistics, emulator: AlchemyEmulator, connect: ConnectTo
    ) -> None:
        connect(max_attempts=3)
        emulator.add_fault("http", status=500, times=2)

        run("reingest_contract", ADDRESS)

        assert statistics.counters == {"alchemy.polls": 3, "alchemy.compute_units": emulator.compute_units}

    def test_a_page_that_fails_after_others_is_counted_with_them(
        self, run: Run, emulator: AlchemyEmulator, statistics: Statistics
    ) -> None:
        emulator.configure(repeat_page_key=True)
        usage = Usage()
        with pytest.raises(AlchemyError):
            run("get_nfts_for_contract", ADDRESS, usage=usage)

        assert statistics.counters["alchemy.compute_units"] == usage.compute_units == emulator.compute_units == 1200


class TestPagesThatAreNotAllTaken:
    @pytest.mark.usefixtures("emulator")
    def test_each_is_counted_when_it_has_come(self, statistics: Statistics) -> None:
        usage, counted = Usage(), []
        with AlchemyHook() as hook:
            pages = hook.get_nfts_for_contract(ADDRESS, usage=usage)
            for _ in range(3):
                next(pages)
                counted.append((usage.calls, statistics.counters["alchemy.compute_units"]))

        assert counted == [(1, 600), (2, 1200), (3, 1800)]

    @pytest.mark.usefixtures("emulator")
    async def test_each_is_counted_when_it_has_come_in_an_event_loop(self, statistics: Statistics) -> None:
        usage, counted = Usage(), []
        async with AlchemyHook() as hook:
            pages = hook.aget_nfts_for_contract(ADDRESS, usage=usage)
            for _ in range(3):
                await anext(pages)
                counted.append((usage.calls, statistics.counters["alchemy.compute_units"]))

        assert counted == [(1, 600), (2, 1200), (3, 1800)]

    def test_asking_for_pages_sends_nothing_before_the_first_is_taken(self, emulator: AlchemyEmulator) -> None:
        with AlchemyHook() as hook:
            hook.get_nfts_for_contract(ADDRESS)

        assert emulator.connections == 0


def ids(run: Run, **options: Any) -> list[int]:
    return [token.token_id for page in run("get_nfts_for_contract", ADDRESS, **options) for token in page.tokens]


class TestPages:
    @pytest.mark.parametrize("key_form", ["hex", "decimal"])
    @pytest.mark.parametrize("last_key", ["absent", "null"])
    def test_they_hold_each_token_of_the_collection_once(
        self, run: Run, emulator: AlchemyEmulator, key_form: str, last_key: str
    ) -> None:
        emulator.configure(page_key_form=key_form, last_page_key=last_key)
        emulator.set_collection(ADDRESS, tokens=250, first_id=2**200)

        assert ids(run) == list(range(2**200, 2**200 + 250))

    def test_no_further_call_is_made_after_the_last(self, run: Run, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=200)

        assert (len(ids(run)), emulator.count()) == (200, 2)

    def test_an_empty_collection_is_one_empty_page(self, run: Run, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=0)

        assert [page.tokens for page in run("get_nfts_for_contract", ADDRESS)] == [()]

    @pytest.mark.parametrize("start", [248, "248", "0xf8"])
    def test_they_begin_where_they_are_asked_to(self, run: Run, start: int | str) -> None:
        assert ids(run, start_token=start) == [248, 249]

    def test_they_go_on_from_a_key_that_was_kept(self, run: Run) -> None:
        kept = run("get_nfts_for_contract", ADDRESS)[0].next_key

        assert ids(run, start_token=kept) == list(range(100, 250))

    def test_pages_that_are_smaller_than_they_may_be_are_no_end(self, run: Run, emulator: AlchemyEmulator) -> None:
        emulator.configure(page_size=10)
        emulator.set_collection(ADDRESS, tokens=25)

        assert ids(run) == list(range(25))

    @pytest.mark.parametrize("start", [None, 300])
    def test_a_page_that_leads_back_ends_them_with_an_error(
        self, run: Run, emulator: AlchemyEmulator, start: int | None
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=10_000)
        emulator.configure(repeat_page_key=True)
        with pytest.raises(AlchemyUnexpectedAnswerError, match="as the next page, which was read before"):
            run("get_nfts_for_contract", ADDRESS, start_token=start)

        assert emulator.count() <= 2
