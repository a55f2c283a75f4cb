# SPDX-License-Identifier: Apache-2.0
"""The poller against a real server: what it shares, what it survives, what it leaves behind."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pendulum
import pytest

from airflow_provider_alchemy.api import throttle as turns
from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyDeadlineError,
    AlchemyServerError,
    AlchemySpendingLimitError,
)
from airflow_provider_alchemy.api.models import RefreshStatus
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.waits.poller import Poller

from .conftest import USUAL
from .shells import LOWER
from .waits import wait_with

pytestmark = pytest.mark.integration

WHO: ContextVar[str] = ContextVar("who")


def address(number: int) -> str:
    return f"0x{number:040x}"


def settings_of(emulator: AlchemyEmulator, **settings: Any) -> ClientSettings:
    return ClientSettings(**USUAL | {"api_key": emulator.api_key, "host": emulator.url} | settings)


@asynccontextmanager
async def poller_of(
    emulator: AlchemyEmulator,
    renew: Callable[[], Awaitable[ClientSettings]] | None = None,
    on_call: Callable[[Usage], None] | None = None,
    **settings: Any,
) -> AsyncIterator[Poller]:
    poller = Poller(settings_of(emulator, **settings), renew=renew, on_call=on_call)
    try:
        yield poller
    finally:
        await poller.aclose()


async def ask(
    poller: Poller, contract: str = LOWER, delay: float = 0.0, usage: Usage | None = None, **options: Any
) -> RefreshStatus:
    return await poller.next_status(contract, delay_seconds=delay, usage=usage or Usage(), **options)


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make the steps of the back-off short; the list gets the number of each."""
    begun: list[int] = []

    def step(failures: int, retry_after_seconds: float | None = None) -> float:  # noqa: ARG001 - Airflow's signature
        begun.append(failures)
        return 0.05

    monkeypatch.setattr(turns, "backoff_seconds", step)
    return begun


class TestWhatIsShared:
    async def test_many_waits_use_few_connections(self, emulator: AlchemyEmulator) -> None:
        async with poller_of(emulator) as poller:
            await asyncio.gather(*(ask(poller, address(number)) for number in range(300)))

        assert (emulator.count(), emulator.connections <= 16) == (300, True)

    async def test_the_first_call_is_made_alone(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("hang", times=1)
        async with poller_of(emulator) as poller:
            waits = [asyncio.create_task(ask(poller, address(number))) for number in range(20)]
            await until(lambda: emulator.count() == 1)
            # Nobody knows yet whether the account is accepted.
            await asyncio.sleep(0.1)

            assert emulator.count() == 1
            for wait in waits:
                wait.cancel()

    async def test_two_waits_on_a_contract_are_answered_by_one_poll(self, emulator: AlchemyEmulator) -> None:
        async with poller_of(emulator) as poller:
            first, second = await asyncio.gather(ask(poller), ask(poller))

        assert (first, emulator.count()) == (second, 1)

    async def test_a_wait_learns_early_what_another_asked_for(self, emulator: AlchemyEmulator) -> None:
        async with poller_of(emulator) as poller:
            await asyncio.gather(ask(poller, delay=3600), ask(poller))

        assert emulator.count() == 1

    async def test_a_shared_poll_is_paid_once(self, emulator: AlchemyEmulator) -> None:
        usages = [Usage(), Usage(), Usage()]
        async with poller_of(emulator) as poller:
            await asyncio.gather(*(ask(poller, usage=usage) for usage in usages))

        assert sum(usage.compute_units for usage in usages) == emulator.compute_units == 480

    async def test_every_call_is_told_to_who_counts(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=500, times=1)
        told: list[int] = []
        async with poller_of(emulator, on_call=lambda usage: told.append(usage.calls)) as poller:
            await asyncio.gather(*(ask(poller, address(number)) for number in range(3)), return_exceptions=True)

        assert told == [1, 1, 1]


class TestTrouble:
    async def test_a_failed_poll_is_the_trouble_of_its_contract(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=500, contract_address=address(1))
        async with poller_of(emulator) as poller:
            one, two = await asyncio.gather(ask(poller, address(1)), ask(poller, address(2)), return_exceptions=True)

        assert isinstance(one, AlchemyServerError)
        assert isinstance(two, RefreshStatus)

    async def test_a_bug_reaches_the_wait_and_hangs_nobody(
        self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(*_: Any, **__: Any) -> None:
            raise KeyError

        async with poller_of(emulator) as poller:
            monkeypatch.setattr(poller._client, "attempt", broken)
            with pytest.raises(KeyError):
                await ask(poller)

    async def test_a_dispatcher_that_breaks_hangs_nobody(
        self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with poller_of(emulator) as poller:

            async def broken(*_: object, **__: object) -> float:
                raise KeyError

            monkeypatch.setattr("airflow_provider_alchemy.api.throttle.Queue.wait", broken)
            with pytest.raises(KeyError):
                await ask(poller)


class TestAWait:
    async def test_it_ends_with_the_refresh(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(LOWER, running_seconds=0.2)
        wait = wait_with(interval=0.05)
        async with poller_of(emulator) as poller:
            await poller.follow(wait)

        assert (wait.record.state, wait.record.polls) == ("finished", emulator.count())

    async def test_its_rules_speak_in_the_context_of_who_waits(self, emulator: AlchemyEmulator) -> None:
        heard: list[str] = []

        class Log(logging.Logger):
            def info(self, *_: object, **__: object) -> None:
                heard.append(WHO.get())

        async def follow(poller: Poller, name: str, contract: str) -> None:
            WHO.set(name)
            wait = wait_with(interval=0.05, log=Log(name))
            wait.record.contract_address = contract
            await poller.follow(wait)

        emulator.set_default_job(running_seconds=0)
        async with poller_of(emulator) as poller:
            await asyncio.gather(follow(poller, "one", address(1)), follow(poller, "two", address(2)))

        assert set(heard) == {"one", "two"}

    async def test_it_may_end_with_the_first_answer_that_accepts_the_refresh(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(LOWER, queued_seconds=3600)
        wait = wait_with(submits=True)
        async with poller_of(emulator) as poller:
            await poller.follow(wait, until_the_end=False)

        assert (wait.record.state, emulator.count()) == ("queued", 1)

    async def test_its_deadline_ends_it_also_where_no_answer_comes(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("hang", contract_address=LOWER)
        deadline = pendulum.now("UTC").add(seconds=0.2).isoformat()
        async with poller_of(emulator, timeout=0.2) as poller:
            with pytest.raises(AlchemyDeadlineError):
                await poller.follow(wait_with(interval=0.01, deadline=deadline))

    async def test_its_deadline_ends_it_also_while_the_account_is_refused(
        self, emulator: AlchemyEmulator, short_steps: list[int]
    ) -> None:
        emulator.add_fault("http", status=429, message="compute units per second")
        async with poller_of(emulator, timeout=0.2) as poller:
            other = asyncio.create_task(ask(poller, address(1)))
            await until(lambda: short_steps)
            deadline = pendulum.now("UTC").add(seconds=0.2).isoformat()
            with pytest.raises(AlchemyDeadlineError, match="the last poll failed: Alchemy answered HTTP 429"):
                await poller.follow(wait_with(interval=0.01, deadline=deadline))
            other.cancel()

    async def test_two_on_a_contract_are_answered_by_one_poll(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(LOWER, running_seconds=0)
        waits = [wait_with(interval=0.05), wait_with(interval=3600)]
        async with poller_of(emulator) as poller:
            await asyncio.gather(*(poller.follow(wait) for wait in waits))

        assert (emulator.count(), sum(wait.record.compute_units for wait in waits)) == (1, 480)

    async def test_one_that_is_cancelled_leaves_nothing(self, emulator: AlchemyEmulator) -> None:
        async with poller_of(emulator) as poller:
            following = asyncio.create_task(poller.follow(wait_with(interval=3600)))
            await until(lambda: poller._agenda._sleeping)
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
            assert poller._agenda.best_rank(math.inf) is None


class TestARefusedAccount:
    async def test_the_refusal_is_waited_out_and_not_told(
        self, emulator: AlchemyEmulator, short_steps: list[int]
    ) -> None:
        emulator.add_fault("http", status=429, message="compute units per second", times=4)
        async with poller_of(emulator) as poller:
            await asyncio.gather(*(ask(poller, address(number)) for number in range(50)))

        assert (short_steps, emulator.count()) == ([1, 2, 3, 4], 54)

    async def test_a_step_has_one_attempt_for_all_waits(
        self, emulator: AlchemyEmulator, short_steps: list[int]
    ) -> None:
        emulator.add_fault("http", status=429, message="compute units per second")
        async with poller_of(emulator) as poller:
            waits = [asyncio.create_task(ask(poller, address(number))) for number in range(50)]
            await until(lambda: len(short_steps) >= 6)
            # The last step has begun and those before it are over: an attempt each, and one more if it ends right now.
            assert emulator.count() <= len(short_steps) + 1
            for wait in waits:
                wait.cancel()

    @pytest.mark.usefixtures("short_steps")
    async def test_its_refused_calls_are_counted(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=429, message="compute units per second", times=2)
        usage = Usage()
        async with poller_of(emulator) as poller:
            await ask(poller, usage=usage)

        assert (usage.calls, usage.throttled, usage.compute_units) == (3, 2, 480)

    async def test_a_used_up_month_is_told_at_once(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(monthly_units=0)
        async with poller_of(emulator) as poller:
            with pytest.raises(Exception, match="Monthly capacity"):
                await ask(poller)


class TestAKeyThatIsRefused:
    async def test_a_rotated_key_is_read_again_and_used(self, emulator: AlchemyEmulator) -> None:
        async def renew() -> ClientSettings:
            return settings_of(emulator)

        async with poller_of(emulator, renew) as poller:
            emulator.rotate_key()
            assert (await ask(poller)).contract_address == LOWER

    async def test_it_is_read_once_for_all_waits(self, emulator: AlchemyEmulator) -> None:
        readings = 0

        async def renew() -> ClientSettings:
            nonlocal readings
            readings += 1
            return settings_of(emulator)

        async with poller_of(emulator, renew) as poller:
            await ask(poller, address(0))
            emulator.rotate_key()
            await asyncio.gather(*(ask(poller, address(number)) for number in range(30)))

        assert readings == 1

    async def test_a_key_that_is_still_the_same_is_refused_to_the_wait(self, emulator: AlchemyEmulator) -> None:
        stale = settings_of(emulator)

        async def renew() -> ClientSettings:
            return stale

        async with poller_of(emulator, renew) as poller:
            emulator.rotate_key()
            with pytest.raises(AlchemyAuthenticationError):
                await ask(poller)

    async def test_a_connection_that_cannot_be_read_again_leaves_the_refusal(self, emulator: AlchemyEmulator) -> None:
        async def renew() -> ClientSettings:
            raise OSError

        async with poller_of(emulator, renew) as poller:
            emulator.rotate_key()
            with pytest.raises(AlchemyAuthenticationError):
                await ask(poller)


class TestWhatMayBeSpent:
    async def test_waits_spend_no_more_than_they_may_together(self, emulator: AlchemyEmulator) -> None:
        spending_limit = SpendingLimit(480 * 7 + 479)
        async with poller_of(emulator) as poller:
            outcomes = await asyncio.gather(
                *(ask(poller, address(number), spending_limit=spending_limit) for number in range(20)),
                return_exceptions=True,
            )

        assert emulator.compute_units == 480 * 7
        assert sum(isinstance(outcome, AlchemySpendingLimitError) for outcome in outcomes) == 13

    @pytest.mark.usefixtures("short_steps")
    async def test_what_is_not_billed_is_not_spent(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=429, message="compute units per second", times=3)
        spending_limit = SpendingLimit(480)
        async with poller_of(emulator) as poller:
            await ask(poller, spending_limit=spending_limit)

        assert spending_limit.compute_units == 0

    async def test_another_wait_of_the_contract_may_have_means_of_its_own(self, emulator: AlchemyEmulator) -> None:
        async with poller_of(emulator) as poller:
            poor, rich = await asyncio.gather(
                ask(poller, spending_limit=SpendingLimit(479)), ask(poller), return_exceptions=True
            )

        assert isinstance(poor, AlchemySpendingLimitError)
        assert isinstance(rich, RefreshStatus)


class TestWhatIsLeft:
    async def test_nothing_is_left_of_a_poller_that_closed(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("hang", contract_address=address(2))
        async with poller_of(emulator) as poller:
            await ask(poller, address(1))
            waits = [asyncio.create_task(ask(poller, address(number), delay=number - 2)) for number in (2, 3)]
            await until(lambda: emulator.count() == 2)
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_a_cancelled_wait_is_not_asked_for(self, emulator: AlchemyEmulator) -> None:
        async with poller_of(emulator) as poller:
            wait = asyncio.create_task(ask(poller, address(1), delay=0.05))
            await asyncio.sleep(0)
            wait.cancel()
            await ask(poller, address(2), delay=0.1)

        assert emulator.count(contract_address=address(1)) == 0
