# SPDX-License-Identifier: Apache-2.0
"""Watchers in trouble (Airflow 3.3): a store, a key or a connection that fails, faults, and bugs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from airflow_provider_alchemy.chain import stream as chain_stream
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE, connection_json
from airflow_provider_alchemy.triggers.chain import CURSOR_KEY
from tests.chain.scenes import FIRST_BLOCK, contract
from tests.conftest import TaskLog
from tests.waiting import until

from .watchers import Store, Triggerer, ids_of, shares_streams, watcher

pytestmark = [pytest.mark.integration, shares_streams]


@pytest.fixture
async def triggerer() -> AsyncIterator[Triggerer]:
    one = Triggerer()
    yield one
    await one.stop()


async def stored(chain: AlchemyEmulator) -> Store:
    """Give a store that knows a watcher's cursor, and a chain on which something happened since."""
    store, triggerer = Store(), Triggerer()
    triggerer.start(1, watcher(), store)
    await until(lambda: store.next_block)
    await triggerer.stop()
    chain.reveal(contract(1), [1])
    chain.mine_blocks(50)
    return store


class TestTheStore:
    async def test_a_cursor_that_cannot_be_read_is_read_again_until_it_can(
        self, chain: AlchemyEmulator, triggerer: Triggerer, task_log: TaskLog
    ) -> None:
        store = await stored(chain)
        store.failing_reads = 5
        triggerer.start(1, watcher(), store)

        await until(triggerer.fired(1))

        assert triggerer.ids() == ids_of(chain, [1])
        assert "Could not read how far the chain was read" in task_log()

    async def test_a_cursor_that_cannot_be_written_is_written_after_the_next_poll(
        self, chain: AlchemyEmulator, triggerer: Triggerer, task_log: TaskLog
    ) -> None:
        store = await stored(chain)
        store.failing_writes = 3
        triggerer.start(1, watcher(), store)

        await until(lambda: store.next_block == FIRST_BLOCK + 50)

        assert triggerer.ids() == ids_of(chain, [1])
        assert task_log().count("Could not save how far the chain was read") == 1

    @pytest.mark.parametrize("value", [None, "text", {"slots": []}, {"slots": {"eth-mainnet": {"x": 5}}}])
    async def test_a_value_that_is_no_cursor_is_none(
        self, chain: AlchemyEmulator, triggerer: Triggerer, value: object
    ) -> None:
        store = Store()
        store.values[CURSOR_KEY] = json.dumps(value)
        chain.mine_blocks(7)
        triggerer.start(1, watcher(), store)

        await until(lambda: store.values[CURSOR_KEY].count("metadata+mint"))

        assert store.next_block == FIRST_BLOCK + 7

    async def test_watchers_of_one_asset_do_not_overwrite_each_other(
        self, chain: AlchemyEmulator, triggerer: Triggerer
    ) -> None:
        store = Store()
        for number in range(1, 6):
            triggerer.start(number, watcher(number, confirmations=number % 2), store)
        chain.mine_blocks(1)

        await until(lambda: len(json.loads(store.values.get(CURSOR_KEY, '{"slots": {}}'))["slots"]) == 2)
        await until(lambda: sum(map(len, _fingerprints(store))) == 5 * 8)

    async def test_an_asset_of_another_scheme_is_as_good_as_any(
        self, chain: AlchemyEmulator, triggerer: Triggerer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from airflow.sdk import Asset  # noqa: PLC0415 - Airflow 2.11 has none
        from airflow.sdk.execution_time.context import (  # noqa: PLC0415 - nor has 3.0
            AssetStateStoreAccessor,
            AssetStateStoreAccessors,
        )

        stores = {"table": Store(), "topic": Store()}
        # Only what goes to the triggerer's supervisor is replaced.
        monkeypatch.setattr(AssetStateStoreAccessor, "aget", lambda self, key: stores[self._name].aget(key))
        monkeypatch.setattr(
            AssetStateStoreAccessor, "aset", lambda self, key, value: stores[self._name].aset(key, value)
        )
        assets = [Asset(name="table", uri="s3://bucket/tokens"), Asset(name="topic", uri="x-queue://topic")]
        triggerer.start(1, watcher(), AssetStateStoreAccessors(inlets=assets))
        await until(lambda: all(store.next_block for store in stores.values()))
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)

        await until(lambda: all(store.next_block == FIRST_BLOCK + 2 for store in stores.values()))

        assert triggerer.ids() == ids_of(chain, [1])


def _fingerprints(store: Store) -> list[str]:
    slots = json.loads(store.values.get(CURSOR_KEY, '{"slots": {}}'))["slots"]
    return [fingerprints for places in slots.values() for fingerprints in places.values()]


class TestTheKeyAndTheConnection:
    async def test_a_rotated_key_is_read_from_the_connection(
        self, chain: AlchemyEmulator, triggerer: Triggerer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = Store()
        triggerer.start(1, watcher(), store)
        await until(lambda: store.next_block)
        chain.rotate_key()
        monkeypatch.setenv(CONNECTION_VARIABLE, connection_json(chain, compute_units_per_second=10**6))
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)

        await until(triggerer.fired(1))

        assert triggerer.ids() == ids_of(chain, [1])

    async def test_a_wrong_key_holds_watchers_up_until_the_connection_is_right(
        self, chain: AlchemyEmulator, triggerer: Triggerer, monkeypatch: pytest.MonkeyPatch, task_log: TaskLog
    ) -> None:
        store = await stored(chain)
        right = connection_json(chain, compute_units_per_second=10**6)
        monkeypatch.setenv(CONNECTION_VARIABLE, right.replace(chain.api_key, "wrong-key-0123456789"))
        triggerer.start(1, watcher(), store)
        await until(lambda: sum(call.http_status == 401 for call in chain.calls) >= 3)
        assert not triggerer.tasks[1].done()

        monkeypatch.setenv(CONNECTION_VARIABLE, right)
        await until(triggerer.fired(1))

        assert triggerer.ids() == ids_of(chain, [1])
        log = task_log()
        assert log.count("is held up") == 1
        assert "Check the API key" in log
        assert "wrong-key-0123456789" not in log

    async def test_the_key_is_in_no_log_line_no_event_and_no_argument(
        self, chain: AlchemyEmulator, triggerer: Triggerer, task_log: TaskLog
    ) -> None:
        for kind in ("http", "redirect", "cut", "html", "reset", "wrong_types", "error_object"):
            chain.add_fault(kind, times=1, message=f"bad key {chain.api_key}", location=f"/v2/{chain.api_key}")
        chain.add_fault("http", status=400, times=2, message=f"no such key {chain.api_key}", endpoint="eth_getLogs")
        trigger = watcher()
        triggerer.start(1, trigger, store := Store())
        await until(lambda: store.next_block)
        chain.emit_log(contract(1), ["0x12"], chain.api_key)
        chain.reveal(contract(1), [1])
        chain.mine_blocks(2)

        await until(triggerer.fired(1))

        texts = [task_log(), json.dumps(triggerer.events), repr(trigger.serialize()), json.dumps(store.values)]
        assert "is held up" in texts[0]
        assert all(chain.api_key not in text for text in texts)


class TestABug:
    async def test_it_ends_all_watchers_with_its_error_and_those_that_begin_again_are_served(
        self, chain: AlchemyEmulator, triggerer: Triggerer
    ) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError

        stores = {number: Store() for number in range(3)}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chain_stream, "next_window", broken)
            for number, store in stores.items():
                triggerer.start(number, watcher(number), store)
            results = await asyncio.gather(*triggerer.tasks.values(), return_exceptions=True)

        assert [type(result) for result in results] == [ZeroDivisionError] * 3
        for number, store in stores.items():
            triggerer.start(number, watcher(number), store)
        await until(lambda: all(store.next_block for store in stores.values()))
        for number in stores:
            chain.reveal(contract(number), [1])
        chain.mine_blocks(2)
        await until(lambda: len(triggerer.ids()) == 3)

        assert sorted(triggerer.ids()) == sorted(ids_of(chain, stores))

    async def test_one_in_the_beginning_of_a_watcher_ends_it_too(
        self, chain: AlchemyEmulator, triggerer: Triggerer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("airflow_provider_alchemy.triggers.chain.slot_of", broken)
        triggerer.start(1, watcher(), Store())

        results = await asyncio.gather(triggerer.tasks[1], return_exceptions=True)

        assert isinstance(results[0], ZeroDivisionError)
        assert chain.count("eth_getLogs") == 0
