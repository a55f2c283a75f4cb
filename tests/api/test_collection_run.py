# SPDX-License-Identifier: Apache-2.0
"""The refresh of a collection against a real server: what is proven, what it costs, what it leaves behind."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.collection_log import CollectionLog
from airflow_provider_alchemy.api.collection_record import CollectionRecord, Method, Stage
from airflow_provider_alchemy.api.collection_result import result_of
from airflow_provider_alchemy.api.collection_run import MOST_CALLS, CollectionRun
from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyError,
    AlchemyNetworkError,
    AlchemySpendingLimitError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.api.metering import Allowance
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.token_calling import RefreshPlan
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.tokens import BATCH, LISTING, QUEUE, counts, first_requests, really_refreshed
from tests.waiting import until

from .conftest import USUAL

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("quick_backoff")]

ADDRESS = "0x00000000000000000000000000000000000000c0"
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


@dataclass
class Refresh:
    """A refresh whose processes are one after the other, as a task's are."""

    emulator: AlchemyEmulator
    method: Method = Method.BATCH
    given: Any = None
    network: str = "eth-mainnet"
    supply: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)
    record: CollectionRecord = field(init=False)

    def __post_init__(self) -> None:
        self.record = CollectionRecord.begin(ADDRESS, self.network, self.method, "" if self.given is None else "d")
        self.record.supply = self.supply

    def keep(self, value: dict[str, Any]) -> None:
        self.kept.append(json.dumps(value))

    async def lead(self, **plan: Any) -> CollectionRecord:
        settings = {"api_key": self.emulator.api_key, "host": f"{self.emulator.url}/{self.network}"}
        options = {"interval_seconds": 0.05, "allowance": Allowance(), "keep": self.keep, **self.plan, **plan}
        async with AsyncAlchemyClient(
            ClientSettings(**USUAL | settings | {"network": self.network} | self.settings)
        ) as client:
            log = CollectionLog(logging.getLogger(__name__), "Collection")
            run = CollectionRun(client, self.record, self.given, RefreshPlan(**options), log)
            pause = await run.until_pause()
            while pause is not None:
                await asyncio.sleep(pause)
                pause = await run.until_pause()
        return self.record

    async def failure(self, **plan: Any) -> AlchemyError:
        with pytest.raises(AlchemyError) as caught:
            await self.lead(**plan)
        return caught.value

    def after_a_kill(self) -> None:
        """Take over what was kept last."""
        record = CollectionRecord.read(json.loads(self.kept[-1]))
        assert record is not None
        self.record = record

    def told(self) -> dict[str, int]:
        found: dict[str, int] = result_of(self.record)["counts"]
        return found

    def refreshed(self, tokens: range) -> set[int]:
        """Give the tokens that the record counts as refreshed: all that it does not name."""
        named = {token_id for group in self.record.failed for token_id in group.token_ids}
        assert self.record.refreshed == len(tokens) - len(named)
        return set(tokens) - named


class TestBatch:
    @pytest.mark.parametrize("form", ["object", "array"])
    async def test_a_collection_is_refreshed_and_proven(self, form: str, emulator: AlchemyEmulator) -> None:
        emulator.configure(batch_form=form)
        emulator.set_collection(ADDRESS, tokens=1234)
        refresh = Refresh(emulator, supply=1234)

        record = await refresh.lead()

        assert refresh.told() == counts(1234)
        assert (emulator.count(BATCH), emulator.count(LISTING)) == (13, 13)
        assert set(emulator.asked_tokens(BATCH).values()) == {1}
        assert really_refreshed(emulator, ADDRESS) == refresh.refreshed(range(1234))
        assert (record.polls, record.compute_units) == (emulator.count(), emulator.compute_units)

    async def test_a_collection_without_tokens_is_done(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=0)
        refresh = Refresh(emulator, supply=0)

        assert (await refresh.lead()).stage is Stage.DONE

        assert (refresh.told(), emulator.count()) == (counts(0), 1)

    async def test_given_ids_are_not_listed(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=5000)
        refresh = Refresh(emulator, given=tuple(range(0, 2500, 2)))

        await refresh.lead()

        assert (refresh.told(), emulator.count(LISTING)) == (counts(1250), 0)
        assert emulator.asked_tokens() == Counter(range(0, 2500, 2))

    async def test_no_given_id_is_nothing_to_do(self, emulator: AlchemyEmulator) -> None:
        refresh = Refresh(emulator, given=())

        await refresh.lead()

        assert (refresh.told(), emulator.count()) == (counts(0), 0)

    async def test_pages_of_a_few_tokens_make_full_batches(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(page_size=7, last_page_key="null", page_key_form="decimal")
        emulator.set_collection(ADDRESS, tokens=300)
        refresh = Refresh(emulator)

        await refresh.lead()

        assert (refresh.told(), emulator.count(BATCH)) == (counts(300), 3)

    async def test_a_collection_that_grows_while_it_is_read_is_refreshed_whole(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=900)
        emulator.add_fault("slow", endpoint=LISTING, seconds=0.03)
        refresh = Refresh(emulator, supply=900)

        running = asyncio.create_task(refresh.lead())
        await until(lambda: emulator.count(LISTING) >= 3)
        emulator.grow_collection(ADDRESS, 250)
        await running

        assert refresh.told() == counts(1150)
        assert set(emulator.asked_tokens(BATCH)) == set(range(1150))

    async def test_stale_tokens_are_tried_again_and_nothing_else(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=250)
        emulator.set_tokens(ADDRESS, range(10), stale_refreshes=2)
        emulator.set_tokens(ADDRESS, [20], stale=True)
        emulator.set_tokens(ADDRESS, [30], error="Throttled token uri", error_answers=1)
        emulator.set_tokens(ADDRESS, [40], error="Malformed token uri")
        refresh = Refresh(emulator, supply=250)

        record = await refresh.lead()

        assert refresh.told() == counts(250, stale=1, failed=1)
        assert {group.reason: group.token_ids for group in record.failed} == {
            "stale": (20,),
            "malformed_token_uri": (40,),
        }
        asked = emulator.asked_tokens(BATCH)
        assert {token_id: times for token_id, times in asked.items() if times > 1} == {
            **dict.fromkeys(range(10), 3),
            20: 3,
            30: 2,
        }
        assert really_refreshed(emulator, ADDRESS) >= refresh.refreshed(range(250))

    async def test_a_refresh_that_takes_a_while_is_proven_by_the_next_try(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=150, refresh_seconds=0.15)
        refresh = Refresh(emulator, plan={"interval_seconds": 0.2})

        await refresh.lead()

        assert refresh.told() == counts(150)
        assert set(emulator.asked_tokens(BATCH).values()) == {2}

    async def test_tries_are_as_far_apart_as_the_plan_says(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=5)
        emulator.set_tokens(ADDRESS, [0], stale=True)

        await Refresh(emulator, plan={"interval_seconds": 0.3}).lead()

        tries = [call.at for call in emulator.calls if call.endpoint == BATCH]
        assert len(tries) == 3
        assert all(later - earlier >= 0.3 for earlier, later in pairwise(tries))

    async def test_without_a_request_of_the_plan_ten_seconds_are_between_two_tries(self) -> None:
        assert RefreshPlan(allowance=Allowance()).interval_seconds == 10


class TestQueue:
    async def test_each_token_is_queued_once_and_proven_by_reading(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=250, queue_seconds=0.1)
        refresh = Refresh(emulator, Method.QUEUE, supply=250)

        record = await refresh.lead()

        assert refresh.told() == counts(250)
        assert emulator.asked_tokens(QUEUE) == Counter(range(250))
        assert not any(call.refreshes for call in emulator.calls if call.endpoint == BATCH)
        assert really_refreshed(emulator, ADDRESS) == refresh.refreshed(range(250))
        assert record.compute_units == emulator.compute_units

    @pytest.mark.parametrize("repeated", ["accepted", "refused"])
    async def test_none_is_queued_twice_in_a_quarter_of_an_hour(self, repeated: str, emulator: AlchemyEmulator) -> None:
        emulator.configure(repeated_refresh=repeated)
        emulator.set_collection(ADDRESS, tokens=30, queue_seconds=0.05)
        emulator.set_tokens(ADDRESS, range(10), stale=True)
        refresh = Refresh(emulator, Method.QUEUE)

        await refresh.lead()

        assert refresh.told() == counts(30, stale=10)
        assert set(emulator.asked_tokens(QUEUE).values()) == {1}

    @pytest.mark.parametrize("repeated", ["accepted", "refused"])
    async def test_tokens_that_somebody_queued_before_are_not_taken_for_refreshed(
        self, repeated: str, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=20, queue_seconds=0)
        await Refresh(emulator, Method.QUEUE, given=range(5)).lead()
        emulator.configure(repeated_refresh=repeated)
        refresh = Refresh(emulator, Method.QUEUE)

        await refresh.lead()

        assert refresh.told() == counts(20, stale=5)

    async def test_a_network_without_it_is_an_error(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, "zora-mainnet", tokens=300)

        error = await Refresh(emulator, Method.QUEUE, network="zora-mainnet").failure()

        assert isinstance(error, AlchemyNetworkError)
        assert "Refresh the tokens with getNFTMetadataBatch" in str(error) or "network" in str(error)

    @pytest.mark.usefixtures("clock")
    async def test_an_estimate_without_end_is_not_waited_for(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=1, queue_seconds=1e9)
        refresh = Refresh(emulator, Method.QUEUE)
        running = asyncio.create_task(refresh.lead())
        await until(lambda: refresh.record.stage is Stage.PROVE)
        running.cancel()

        assert refresh.record.next_at - first_requests(emulator)[0] <= 900


class TestAuto:
    async def test_what_batch_leaves_stale_is_queued(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=150, queue_seconds=0.05)
        emulator.set_tokens(ADDRESS, range(20), stale_refreshes=3)
        emulator.set_tokens(ADDRESS, [30], error="IPFS gateway timed out")
        refresh = Refresh(emulator, Method.AUTO)

        await refresh.lead()

        assert refresh.told() == counts(150, failed=1)
        assert emulator.asked_tokens(QUEUE) == Counter(range(20))

    async def test_where_batch_is_enough_nothing_is_queued(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=150)
        refresh = Refresh(emulator, Method.AUTO)

        await refresh.lead()

        assert (refresh.told(), emulator.count(QUEUE)) == (counts(150), 0)

    async def test_where_the_network_has_no_queue_it_is_batch_alone(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, "zora-mainnet", tokens=150)
        emulator.set_tokens(ADDRESS, [7], "zora-mainnet", stale=True)
        refresh = Refresh(emulator, Method.AUTO, network="zora-mainnet")

        await refresh.lead()

        assert (refresh.told(), emulator.count(QUEUE)) == (counts(150, stale=1), 0)


class TestTheWorld:
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
        refresh = Refresh(emulator, method, settings={"max_attempts": 8}, plan={"token_attempts": 5})

        await refresh.lead()

        told = refresh.told()
        assert (told["tokens"], told["failed"]) == (tokens, 5)
        assert {token for group in refresh.record.failed for token in group.token_ids} >= set(range(50, 65))
        assert refresh.refreshed(range(tokens)) <= really_refreshed(emulator, ADDRESS)
        if method is not Method.QUEUE:
            assert told == counts(tokens, stale=10, failed=5)

    @pytest.mark.parametrize("max_attempts", [1, 5])
    async def test_an_account_that_is_throttled_is_no_tokens_trouble(
        self, max_attempts: int, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=500)
        emulator.add_fault("http", status=429, message="compute units per second", times=6)
        refresh = Refresh(emulator, settings={"max_attempts": max_attempts})

        record = await refresh.lead()

        assert refresh.told() == counts(500)
        assert record.compute_units == emulator.compute_units == 5 * 1080

    async def test_pages_that_repeat_a_key_end(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(repeat_page_key=True)
        emulator.set_collection(ADDRESS, tokens=500)
        refresh = Refresh(emulator)

        errors = [await refresh.failure() for _ in range(2)]

        assert {type(error) for error in errors} == {AlchemyUnexpectedAnswerError}
        assert emulator.count(LISTING) <= 4
        assert refresh.record.tokens <= 100

    async def test_what_concerns_all_tokens_ends_it_and_what_is_paid_is_kept(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=3000)
        refresh = Refresh(emulator, supply=3000)
        running = asyncio.create_task(refresh.failure())
        await until(lambda: emulator.count(BATCH) >= 5)
        emulator.add_fault("http", status=401)

        assert isinstance(await running, AlchemyAuthenticationError)
        emulator.clear_faults()
        asked = emulator.asked_tokens(BATCH)
        refresh.after_a_kill()
        await refresh.lead()

        assert refresh.told() == counts(3000)
        again = {token for token, times in emulator.asked_tokens(BATCH).items() if times > 1}
        assert len(again) <= 100 * MOST_CALLS
        assert sum(asked.values()) > 0

    @pytest.mark.parametrize("method", [Method.BATCH, Method.QUEUE])
    async def test_a_limit_that_is_reached_keeps_what_was_paid(self, method: Method, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=250, queue_seconds=0.01)
        refresh = Refresh(emulator, method, given=range(250))
        limit = 960 if method is Method.BATCH else 125 * 40

        error = await refresh.failure(allowance=Allowance(limit))
        assert isinstance(error, AlchemySpendingLimitError)
        assert refresh.record.compute_units == emulator.compute_units == limit

        refresh.after_a_kill()
        record = await refresh.lead()

        assert refresh.told() == counts(250)
        assert record.compute_units == emulator.compute_units
        assert set(emulator.asked_tokens(QUEUE if method is Method.QUEUE else BATCH).values()) == {1}
