# SPDX-License-Identifier: Apache-2.0
"""The watcher by itself: its arguments, and how it runs where no poll is shared (every Airflow before 3.3)."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from importlib import import_module
from inspect import signature
from typing import Any

import pytest

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger
from tests.chain.scenes import FIRST_BLOCK, contract
from tests.conftest import TaskLog
from tests.waiting import until

from .watchers import Store, ids_of, watcher

ADDRESS = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"

BASE: Any = MetadataUpdateTrigger.__mro__[1]
"""Airflow's base of watchers' triggers: of another name on Airflow 2."""

before_queues = pytest.mark.skipif(
    "queue" in signature(BASE.__init__).parameters, reason="Airflow gives watchers a queue from 3.4 on"
)

DEFAULTS: dict[str, Any] = {
    "contract_addresses": [ADDRESS.lower()],
    "network": None,
    "alchemy_conn_id": "alchemy_default",
    "events": ["metadata"],
    "confirmations": None,
    "poll_interval": 15.0,
    "start_block": None,
}


class TestItsArguments:
    def test_they_survive_the_database(self) -> None:
        path, arguments = watcher(1, 2, network="base-mainnet", start_block=7).serialize()
        module, _, name = path.rpartition(".")
        again = getattr(import_module(module), name)(**json.loads(json.dumps(arguments)))

        assert again.serialize() == (path, arguments)

    @pytest.mark.parametrize(
        ("written", "read"),
        [
            ({"contract_addresses": [ADDRESS]}, {}),
            ({"contract_addresses": ADDRESS}, {}),
            (
                {"contract_addresses": (ADDRESS, contract(1), ADDRESS.lower())},
                {"contract_addresses": [contract(1), ADDRESS.lower()]},
            ),
            ({"events": ("mint", "metadata", "mint")}, {"events": ["metadata", "mint"]}),
            ({"events": "mint"}, {"events": ["mint"]}),
            ({"confirmations": 0}, {"confirmations": 0}),
            ({"poll_interval": timedelta(seconds=15)}, {"poll_interval": 15.0}),
            ({"start_block": 0}, {"start_block": 0}),
        ],
        ids=str,
    )
    def test_watchers_that_mean_the_same_are_the_same_trigger(
        self, written: dict[str, Any], read: dict[str, Any]
    ) -> None:
        trigger = MetadataUpdateTrigger(**{"contract_addresses": [ADDRESS], **written})

        assert trigger.serialize()[1] == {**DEFAULTS, **read}

    @pytest.mark.parametrize(
        ("argument", "value"),
        [
            *(
                ("contract_addresses", value)
                for value in ([], None, 5, [ADDRESS, "0x12"], [ADDRESS.replace("E9", "e9")])
            ),
            *(("events", value) for value in ([], None, ["burn"], [["mint"]])),
            *(("confirmations", value) for value in (-1, 1.5, True, "12")),
            *(("start_block", value) for value in (-1, "latest", 2**60)),
            *(("poll_interval", value) for value in (0, float("nan"), float("inf"), True, "15")),
            ("alchemy_conn_id", ""),
            ("network", "no slug!"),
        ],
        ids=str,
    )
    def test_one_that_cannot_be_right_is_named_where_the_dag_is_parsed(self, argument: str, value: Any) -> None:
        with pytest.raises(AlchemyArgumentError, match=argument):
            MetadataUpdateTrigger(**{"contract_addresses": [ADDRESS], argument: value})

    def test_a_watcher_of_an_asset_of_any_scheme_takes_it(self) -> None:
        pytest.importorskip("airflow.sdk", reason="Airflow 2.11 has no asset watchers")
        from airflow.sdk import Asset, AssetWatcher  # noqa: PLC0415 - Airflow 2.11 has none

        asset = Asset("table", uri="s3://bucket/tokens", watchers=[AssetWatcher(name="chain", trigger=watcher())])

        assert asset.watchers[0].trigger.serialize() == watcher().serialize()

    @pytest.mark.parametrize("value", ["", 5, ["a"]])
    def test_a_queue_is_a_name(self, value: Any) -> None:
        with pytest.raises(AlchemyArgumentError, match=r"argument 'queue' is .* expected the name"):
            MetadataUpdateTrigger([ADDRESS], queue=value)

    @before_queues
    def test_a_queue_is_refused_where_airflow_gives_watchers_none(self) -> None:
        with pytest.raises(AlchemyArgumentError, match=r"gives watchers no queue\. Leave it out, or use Airflow 3\.4"):
            MetadataUpdateTrigger([ADDRESS], queue="chain")

    def test_a_queue_goes_to_airflow_and_makes_another_trigger(self, monkeypatch: pytest.MonkeyPatch) -> None:
        given: list[dict[str, Any]] = []

        def init(_: object, *, queue: str | None = None, **kwargs: Any) -> None:
            given.append({"queue": queue, **kwargs})

        monkeypatch.setattr(BASE, "__init__", init)
        path, arguments = MetadataUpdateTrigger([ADDRESS], queue="chain").serialize()
        module, _, name = path.rpartition(".")
        again = getattr(import_module(module), name)(**arguments)

        assert arguments == {**DEFAULTS, "queue": "chain"}
        assert (given, again.queue) == ([{"queue": "chain"}] * 2, "chain")


class Run:
    """A trigger that runs by itself, and the payloads of its events."""

    def __init__(self, trigger: MetadataUpdateTrigger) -> None:
        self.payloads: list[dict[str, Any]] = []
        self.task = asyncio.create_task(self._run(trigger))

    async def _run(self, trigger: MetadataUpdateTrigger) -> None:
        async for event in trigger.run():
            self.payloads.append(event.payload)

    @property
    def ids(self) -> list[str]:
        return [event_id for payload in self.payloads for event_id in payload["event_ids"]]

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        names = {getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()}
        assert "LogStream._run" not in names


@pytest.mark.integration
class TestByItself:
    async def test_it_fires_and_warns_that_no_cursor_is_kept(self, chain: AlchemyEmulator, task_log: TaskLog) -> None:
        chain.reveal(contract(1), [1])
        run = Run(watcher(start_block=FIRST_BLOCK))
        chain.mint(contract(1), [2])
        chain.mine_blocks(2)
        await until(lambda: len(run.ids) == 2)
        await run.stop()

        assert run.ids == ids_of(chain, [1])
        assert "keeps no cursor for this watcher" in task_log()

    async def test_by_default_a_block_waits_for_a_minute_of_blocks_of_its_network_which_the_log_names(
        self, chain: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        first = chain.reveal(contract(1), [1])[0].block_number
        chain.mine_blocks(29)
        chain.reveal(contract(1), [2])
        run = Run(watcher(network="base-mainnet", confirmations=None, start_block=first))
        await until(lambda: run.payloads)
        await run.stop()

        assert [payload["ids"] for payload in run.payloads] == [["1"]]
        assert "a block counts once it is followed by 30 blocks, some 60 s of base-mainnet" in task_log()

    async def test_without_a_store_each_start_begins_at_the_newest_block(self, chain: AlchemyEmulator) -> None:
        chain.reveal(contract(1), [1])
        chain.mine_blocks(5)
        run = Run(watcher(confirmations=0))
        await until(lambda: chain.count("eth_getLogs"))
        chain.reveal(contract(1), [2])

        await until(lambda: run.payloads)
        await run.stop()

        assert [payload["ids"] for payload in run.payloads] == [["2"]]

    async def test_with_a_store_it_goes_on_where_it_was(self, chain: AlchemyEmulator) -> None:
        store = Store()
        for token_id in range(3):
            trigger = watcher()
            trigger.asset_state_store = store  # type: ignore[assignment, unused-ignore]  # a stand-in
            run = Run(trigger)
            await until(lambda: store.next_block)
            chain.reveal(contract(1), [token_id])
            newest = chain.mine_blocks(2)
            await until(lambda: store.next_block == newest - 1)  # noqa: B023 - awaited here
            await run.stop()
            assert run.ids == ids_of(chain, [1])[-1:]

    async def test_a_bug_ends_it_with_its_error(self, chain: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr("airflow_provider_alchemy.chain.stream.next_window", broken)
        run = Run(watcher())

        with pytest.raises(ZeroDivisionError):
            await run.task
        assert chain.count("eth_blockNumber") == 1
