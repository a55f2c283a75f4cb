# SPDX-License-Identifier: Apache-2.0
"""The pollers of an event loop: shared by connection, closed by the last wait, apart from each other's trouble."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from airflow_provider_alchemy.api.errors import AlchemyAuthenticationError, AlchemyConfigurationError
from airflow_provider_alchemy.api.models import RefreshState
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.hooks import shared as polling
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.shared import shared_poller
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE, connection_json
from airflow_provider_alchemy.waits.poller import Poller
from tests.waiting import eventually

pytestmark = pytest.mark.integration

CONN_ID = "alchemy_default"
LOWER = "0xe9fca552b9eb110c2d170962af740725f71f5644"


async def state(poller: Poller) -> RefreshState:
    status = await poller.contract(LOWER).poll(Usage(), SpendingLimit(), max_attempts=1, deadline=None)
    return status.state


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the ids of the connections that were read."""
    read: list[str] = []
    really = AlchemyHook.aread_settings

    async def note(hook: AlchemyHook) -> object:
        read.append(hook.alchemy_conn_id)
        await asyncio.sleep(0)
        return await really(hook)

    monkeypatch.setattr(AlchemyHook, "aread_settings", note)
    return read


@pytest.fixture
def other_emulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[AlchemyEmulator]:
    """Another account, as the connection ``alchemy_other``."""
    with AlchemyEmulator(units_per_second=None) as running:
        monkeypatch.setenv("AIRFLOW_CONN_ALCHEMY_OTHER", connection_json(running, compute_units_per_second=10**6))
        yield running


@pytest.mark.usefixtures("emulator")
class TestWhoSharesOne:
    async def test_waits_of_a_connection_do(self) -> None:
        async with shared_poller(CONN_ID, None) as first, shared_poller(CONN_ID, None) as second:
            assert first is second

    async def test_waits_on_another_network_do_not(self) -> None:
        async with shared_poller(CONN_ID, None) as first, shared_poller(CONN_ID, "base-mainnet") as second:
            assert first is not second

    @pytest.mark.usefixtures("other_emulator")
    async def test_waits_of_another_connection_do_not(self) -> None:
        async with shared_poller(CONN_ID, None) as first, shared_poller("alchemy_other", None) as second:
            assert first is not second

    def test_waits_of_another_event_loop_do_not(self) -> None:
        async def one() -> Poller:
            async with shared_poller(CONN_ID, None) as poller:
                return poller

        assert asyncio.run(one()) is not asyncio.run(one())


class TestTheConnection:
    @pytest.mark.usefixtures("emulator")
    async def test_it_is_read_once_for_waits_that_begin_together(self, readings: list[str]) -> None:
        async def wait() -> None:
            async with shared_poller(CONN_ID, None):
                await asyncio.sleep(0.01)

        await asyncio.gather(*(wait() for _ in range(200)))

        assert readings == [CONN_ID]

    @pytest.mark.usefixtures("emulator")
    async def test_polls_do_not_read_it(self, readings: list[str]) -> None:
        async with shared_poller(CONN_ID, None) as poller:
            for _ in range(5):
                await state(poller)

        assert readings == [CONN_ID]

    async def test_a_change_reaches_waits_that_begin_later(
        self, emulator: AlchemyEmulator, other_emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with shared_poller(CONN_ID, None) as earlier:
            monkeypatch.setenv(CONNECTION_VARIABLE, connection_json(other_emulator))
            async with shared_poller(CONN_ID, None) as later:
                await state(later)
                await state(earlier)

        assert (emulator.count(), other_emulator.count()) == (1, 1)

    async def test_a_rotated_key_is_read_where_the_old_one_is_refused(
        self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with shared_poller(CONN_ID, None) as poller:
            emulator.rotate_key()
            monkeypatch.setenv(CONNECTION_VARIABLE, connection_json(emulator))

            assert await state(poller) is not None

    async def test_waits_that_begin_after_a_rotation_share_the_poller(
        self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with shared_poller(CONN_ID, None) as earlier:
            emulator.rotate_key()
            monkeypatch.setenv(CONNECTION_VARIABLE, connection_json(emulator))
            await state(earlier)
            async with shared_poller(CONN_ID, None) as later:
                assert later is earlier

    @pytest.mark.usefixtures("emulator", "airflow_database")
    async def test_an_unknown_one_is_told_to_each_wait(self) -> None:
        async def wait() -> None:
            async with shared_poller("nowhere", None):
                pass

        outcomes = await asyncio.gather(wait(), wait(), return_exceptions=True)

        assert [type(outcome) for outcome in outcomes] == [AlchemyConfigurationError] * 2

    @pytest.mark.usefixtures("emulator")
    async def test_a_wait_that_is_cancelled_takes_no_others_reading_with_it(self) -> None:
        async def wait() -> str:
            async with shared_poller(CONN_ID, None) as poller:
                return poller.settings.network

        first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
        await asyncio.sleep(0)
        first.cancel()

        assert await second == "eth-mainnet"


class TestTroubleOfAnotherConnection:
    async def test_a_refused_key_touches_no_other(
        self, emulator: AlchemyEmulator, other_emulator: AlchemyEmulator
    ) -> None:
        emulator.rotate_key()
        async with shared_poller(CONN_ID, None) as bad, shared_poller("alchemy_other", None) as good:
            with pytest.raises(AlchemyAuthenticationError):
                await state(bad)
            assert await state(good) is not None

        assert other_emulator.count() == 1

    async def test_a_host_that_hangs_holds_up_no_other(
        self, emulator: AlchemyEmulator, other_emulator: AlchemyEmulator
    ) -> None:
        emulator.add_fault("hang")
        async with shared_poller(CONN_ID, None) as hanging, shared_poller("alchemy_other", None) as good:
            stuck = [asyncio.create_task(state(hanging)) for _ in range(50)]
            for _ in range(20):
                await state(good)
            for task in stuck:
                task.cancel()

        assert other_emulator.count() == 20

    async def test_a_refused_account_holds_up_no_other(
        self, emulator: AlchemyEmulator, other_emulator: AlchemyEmulator
    ) -> None:
        emulator.add_fault("http", status=429, message="compute units per second")
        async with shared_poller(CONN_ID, None) as refused, shared_poller("alchemy_other", None) as good:
            stuck = asyncio.create_task(state(refused))
            for _ in range(20):
                await state(good)
            stuck.cancel()

        assert other_emulator.count() == 20


@pytest.mark.usefixtures("emulator")
class TestWhatIsLeft:
    async def test_the_last_wait_closes_the_session(self) -> None:
        async with contextlib.AsyncExitStack() as last:
            poller = await last.enter_async_context(shared_poller(CONN_ID, None))
            async with shared_poller(CONN_ID, None):
                await state(poller)
            session = poller._client._session
            assert session is not None
            assert not session.closed

        assert session.closed

    async def test_a_cancelled_wait_leaves_no_task_and_no_poller(self) -> None:
        async def wait() -> None:
            async with shared_poller(CONN_ID, None) as poller:
                await poller.sleep(3600)

        loop = asyncio.get_running_loop()
        task = asyncio.create_task(wait())
        await asyncio.to_thread(eventually, lambda: polling._pollers.get(loop))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert polling._pollers[loop] == []

    async def test_a_wait_that_begins_while_the_last_one_closes_gets_a_poller_that_works(self) -> None:
        async def wait() -> RefreshState:
            async with shared_poller(CONN_ID, None) as poller:
                return await state(poller)

        await wait()
        states = [asyncio.create_task(wait()) for _ in range(5)]
        states += [asyncio.create_task(wait()) for _ in range(5)]

        assert len(await asyncio.gather(*states)) == 10
