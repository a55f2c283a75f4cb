# SPDX-License-Identifier: Apache-2.0
"""The streams of an event loop: one for each connection and network, ended by the last user, replaced when it broke."""

from __future__ import annotations

import asyncio
import traceback
from contextlib import AbstractAsyncContextManager

import pytest

from airflow_provider_alchemy.api.errors import AlchemyConfigurationError
from airflow_provider_alchemy.chain.events import EventKind
from airflow_provider_alchemy.chain.stream import LogStream
from airflow_provider_alchemy.chain.watch import Watch
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.shared import _open_poller, open_stream
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.chain.scenes import FIRST_BLOCK, contract
from tests.waiting import until

pytestmark = pytest.mark.integration

CONN_ID = "alchemy_default"


def watch(stream: LogStream) -> Watch:
    joined = Watch([contract(1)], EventKind, confirmations=0, poll_interval_seconds=0.02)
    stream.join(joined)
    return joined


def shared(alchemy_conn_id: str = CONN_ID, network: str | None = None) -> AbstractAsyncContextManager[LogStream]:
    return open_stream(alchemy_conn_id, network, is_shared=True)


def own() -> AbstractAsyncContextManager[LogStream]:
    return open_stream(CONN_ID, None, is_shared=False)


class TestWhatIsShared:
    async def test_users_of_a_connection_and_network_share_one_stream_and_no_others_do(self) -> None:
        async with shared() as first, shared() as second:
            assert first is second
        others = shared(network="base-mainnet"), shared("other"), own(), own()
        async with shared() as one, others[0] as two, others[1] as three, others[2] as four, others[3] as five:
            assert len({one, two, three, four, five}) == 5

    async def test_one_that_broke_is_not_shared_any_more(self) -> None:
        async with shared() as broken:
            broken.fail(ZeroDivisionError())
            async with (
                shared() as fresh,
                shared() as same,
            ):
                assert fresh is not broken
                assert same is fresh
        async with shared() as later:
            assert later not in {broken, fresh}

    async def test_the_end_of_one_that_broke_leaves_its_successor_alone(self, chain: AlchemyEmulator) -> None:
        ending = shared()
        broken = await ending.__aenter__()
        broken.fail(ZeroDivisionError())
        async with shared() as fresh:
            await ending.__aexit__(None, None, None)
            async with shared() as same:
                assert same is fresh
            watch(fresh)
            assert (await fresh.next_update()).cursor == {contract(1): FIRST_BLOCK + 1}
        assert chain.count("eth_getLogs") == 1


class TestItsLife:
    async def test_the_last_user_ends_the_poll(self, chain: AlchemyEmulator) -> None:
        async with shared() as stream:
            async with shared():
                watch(stream)
                await until(chain.count)
            polls = chain.count()
            await until(lambda: chain.count() > polls)
            loop_task = stream._poll_loop

        assert loop_task is not None
        assert loop_task.cancelled()

    async def test_nothing_is_read_or_asked_before_it_is_needed(
        self, chain: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delattr(AlchemyHook, "aread_settings")
        async with shared(), own():
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
        monkeypatch.setattr("airflow_provider_alchemy.hooks.shared.LOG.propagate", True)
        async with own() as stream:
            assert await stream.network() == "eth-mainnet"

        assert readings == 3
        assert chain.api_key not in caplog.text

    async def test_work_beside_a_stream_may_be_cancelled(self) -> None:
        async with own() as stream:
            stream.create_task(asyncio.sleep(3600)).cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert not stream.is_broken


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
