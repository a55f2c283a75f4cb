# SPDX-License-Identifier: Apache-2.0
"""The streams of an event loop: one for each connection and network, ended by the last user, replaced when it broke."""

from __future__ import annotations

import asyncio
import traceback

import pytest

from airflow_provider_alchemy.api import chain_stream
from airflow_provider_alchemy.api.chain_events import EventKind
from airflow_provider_alchemy.api.chain_watch import Watch
from airflow_provider_alchemy.api.errors import AlchemyConfigurationError
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.chain import ChainHub, _open_poller, own_hub, shared_hub
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.api.chain import FIRST_BLOCK, contract
from tests.waiting import until

pytestmark = pytest.mark.integration

CONN_ID = "alchemy_default"


def watch(hub: ChainHub) -> Watch:
    joined = Watch([contract(1)], EventKind, hub.deliver, confirmations=0, poll_interval_seconds=0.02)
    hub.stream.join(joined)
    return joined


@pytest.fixture
def chain(emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch) -> AlchemyEmulator:
    monkeypatch.setattr(chain_stream, "JOIN_SECONDS", 0.02)
    monkeypatch.setattr(chain_stream, "backoff_seconds", lambda *_: 0.02)
    emulator.configure(block_seconds=None)
    return emulator


class TestWhoSharesOne:
    async def test_users_of_a_connection_and_network_do(self) -> None:
        async with shared_hub(CONN_ID, None) as first, shared_hub(CONN_ID, None) as second:
            assert first is second

    async def test_users_of_another_network_or_connection_do_not(self) -> None:
        async with (
            shared_hub(CONN_ID, None) as first,
            shared_hub(CONN_ID, "base-mainnet") as second,
            shared_hub("other", None) as third,
        ):
            assert len({first, second, third}) == 3

    async def test_one_who_wants_his_own_does_not(self) -> None:
        async with shared_hub(CONN_ID, None) as shared, own_hub(CONN_ID, None) as own, own_hub(CONN_ID, None) as other:
            assert len({shared, own, other}) == 3

    async def test_one_that_broke_is_not_shared_any_more(self) -> None:
        async with shared_hub(CONN_ID, None) as broken:
            broken.break_off(ZeroDivisionError())
            async with shared_hub(CONN_ID, None) as fresh, shared_hub(CONN_ID, None) as same:
                assert fresh is not broken
                assert same is fresh
        async with shared_hub(CONN_ID, None) as later:
            assert later not in {broken, fresh}

    async def test_the_end_of_one_that_broke_leaves_its_successor_alone(self, chain: AlchemyEmulator) -> None:
        ending = shared_hub(CONN_ID, None)
        broken = await ending.__aenter__()
        broken.break_off(ZeroDivisionError())
        async with shared_hub(CONN_ID, None) as fresh:
            await ending.__aexit__(None, None, None)
            async with shared_hub(CONN_ID, None) as same:
                assert same is fresh
            watch(fresh)
            assert (await fresh.next_find()).places == {contract(1): FIRST_BLOCK + 1}
        assert chain.count("eth_getLogs") == 1


class TestItsLife:
    async def test_the_last_user_ends_the_poll(self, chain: AlchemyEmulator) -> None:
        async with shared_hub(CONN_ID, None) as hub:
            async with shared_hub(CONN_ID, None):
                watch(hub)
                await until(chain.count)
            polls = chain.count()
            await until(lambda: chain.count() > polls)
            loop_task = hub.stream._loop_task

        assert loop_task is not None
        assert loop_task.cancelled()

    async def test_nothing_is_read_or_asked_before_somebody_needs_it(
        self, chain: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(AlchemyHook, "aread_settings")
        async with shared_hub(CONN_ID, None), own_hub(CONN_ID, None):
            await asyncio.sleep(0)
        assert chain.count() == 0

    async def test_a_connection_that_cannot_be_read_for_now_is_read_again(
        self, chain: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        readings = 0
        really = AlchemyHook.aread_settings

        async def read(hook: AlchemyHook) -> object:
            nonlocal readings
            readings += 1
            if readings < 3:
                msg = f"the backend read {chain.api_key} and broke"
                raise OSError(msg)
            return await really(hook)

        monkeypatch.setattr(AlchemyHook, "aread_settings", read)
        monkeypatch.setattr("airflow_provider_alchemy.hooks.chain.LOG.propagate", True)
        async with own_hub(CONN_ID, None) as hub:
            assert await hub.stream.network() == "eth-mainnet"

        assert readings == 3
        assert chain.api_key not in caplog.text


class TestWorkInTheBackground:
    async def test_its_error_ends_whoever_waits_for_finds(self) -> None:
        async def fail() -> None:
            raise ZeroDivisionError

        async with own_hub(CONN_ID, None) as hub:
            hub.in_background(fail())
            with pytest.raises(ZeroDivisionError):
                await hub.next_find()
            assert hub.is_broken

    async def test_it_may_be_cancelled(self) -> None:
        async with own_hub(CONN_ID, None) as hub:
            hub.in_background(asyncio.sleep(3600)).cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not hub.is_broken


async def test_what_a_secrets_backend_says_of_a_connection_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    async def quote_it(_: AlchemyHook) -> None:
        msg = "no connection in 'alchemy://:the-key-itself@'"
        raise LookupError(msg)

    monkeypatch.setattr(AlchemyHook, "aread_settings", quote_it)
    with pytest.raises(AlchemyConfigurationError) as caught:
        async with _open_poller(CONN_ID, None):
            pass

    assert caught.value.what == "connection 'alchemy_default' could not be read (LookupError)"
    assert "the-key-itself" not in "".join(traceback.format_exception(caught.value))
