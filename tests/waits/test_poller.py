# SPDX-License-Identifier: Apache-2.0
"""What waits share: one call for each contract, ticks, a session, a key that is read again. And what is left of it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api import endpoints
from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyConnectionError,
    AlchemyDeadlineError,
    AlchemyError,
    AlchemyQuotaError,
    AlchemyServerError,
    AlchemySpendingLimitError,
)
from airflow_provider_alchemy.api.models import RefreshStatus
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.waits.poller import CONNECTIONS, Poller, next_tick
from airflow_provider_alchemy.waits.reingest import ReingestGoal, ReingestState
from airflow_provider_alchemy.waits.wait import Wait
from tests.waiting import eventually

from .service import CONTRACT, NOW, PRICE, Clock, Service, address, in_seconds, known, wait_for

BUSY = AlchemyServerError("Alchemy answered HTTP 503")
LONG = 1e9
"""Seconds between two polls of a wait that never polls by itself."""


def waiting(seconds: float = 60, status: str | None = "queued", **values: Any) -> Wait:
    return wait_for(ReingestGoal(known(ReingestState, status=status, **values)), seconds=seconds)


class Answers:
    """Answers of a service that are under way until a test says what they are."""

    def __init__(self) -> None:
        self.service = Service(answer=self._answer)
        self.under_way: list[asyncio.Future[Any]] = []

    def _answer(self, _: Any) -> Any:
        self.under_way.append(asyncio.get_running_loop().create_future())
        return self._wait(self.under_way[-1])

    async def _wait(self, future: asyncio.Future[Any]) -> Any:
        return await future

    def ask(self, usage: Usage | None = None, limit: SpendingLimit | None = None) -> asyncio.Task[RefreshStatus]:
        contract = self.service.contract(CONTRACT)
        poll = contract.poll(usage or Usage(), limit or SpendingLimit(), max_attempts=1, deadline=None)
        return asyncio.create_task(poll)


async def settle() -> None:
    """Let everything happen that can without time passing."""
    for _ in range(10):
        await asyncio.sleep(0)


class TestOneCallForEachContract:
    def test_those_that_poll_meanwhile_get_its_answer(self, clock: Clock) -> None:
        answers, usages = Answers(), [Usage(), Usage(), Usage()]

        async def run() -> list[RefreshStatus]:
            polls = [answers.ask(usage) for usage in usages]
            await settle()
            (under_way,) = answers.under_way
            under_way.set_result("in_progress")
            return await asyncio.gather(*polls)

        assert len(set(clock.run(run()))) == 1
        assert [usage.compute_units for usage in usages] == [PRICE, 0, 0]

    def test_its_failure_is_theirs_too(self, clock: Clock) -> None:
        answers = Answers()

        async def run() -> list[Any]:
            polls = [answers.ask(), answers.ask()]
            await settle()
            answers.under_way[0].set_result(BUSY)
            return await asyncio.gather(*polls, return_exceptions=True)

        assert clock.run(run()) == [BUSY, BUSY]
        assert len(answers.under_way) == 1

    @pytest.mark.parametrize("end", ["cancelled", ZeroDivisionError()], ids=str)
    def test_where_it_has_no_answer_one_of_them_asks(self, end: Any, clock: Clock) -> None:
        answers = Answers()

        async def run() -> list[Any]:
            first, *others = (answers.ask() for _ in range(4))
            await settle()
            others[0].cancel()
            if end == "cancelled":
                first.cancel()
            else:
                answers.under_way[0].set_result(end)
            await settle()
            assert len(answers.under_way) == 2
            answers.under_way[1].set_result("queued")
            return await asyncio.gather(first, *others, return_exceptions=True)

        first, cancelled, *others = clock.run(run())
        assert isinstance(first, BaseException)
        assert isinstance(cancelled, asyncio.CancelledError)
        assert {type(other) for other in others} == {RefreshStatus}

    def test_a_spending_limit_is_that_of_one_wait(self, clock: Clock) -> None:
        answers = Answers()

        async def run() -> list[Any]:
            poor, rich = answers.ask(limit=SpendingLimit(PRICE - 1)), answers.ask()
            await settle()
            answers.under_way[0].set_result("queued")
            return list(await asyncio.gather(poor, rich, return_exceptions=True))

        poor, rich = clock.run(run())
        assert isinstance(poor, AlchemySpendingLimitError)
        assert isinstance(rich, RefreshStatus)

    def test_a_good_answer_wakes_all_waits_of_the_contract(self, clock: Clock) -> None:
        service = Service("in_progress", "finished")
        waits = [waiting(LONG), waiting(LONG), waiting(status=None)]
        other = waiting(LONG, contract_address=address(1))

        async def run() -> None:
            sleeping = asyncio.create_task(other.run(service))
            await asyncio.gather(*(wait.run(service) for wait in waits))
            sleeping.cancel()

        clock.run(run())
        assert [wait.state.status for wait in (*waits, other)] == ["finished"] * 3 + ["queued"]
        assert [wait.state.rounds for wait in waits] == [2, 2, 2]
        assert [wait.state.compute_units for wait in waits] == [0, 0, 2 * PRICE]
        assert (service.contracts, clock.seconds <= 62) == ([CONTRACT] * 2, True)

    def test_a_failed_call_wakes_none(self, clock: Clock) -> None:
        service, sleeping = Service(BUSY, "finished"), waiting(LONG)

        async def run() -> None:
            await asyncio.gather(waiting(status=None).run(service), sleeping.run(service))

        clock.run(run())
        assert (sleeping.state.rounds, sleeping.state.failures) == (1, 0)

    @given(
        intervals=st.lists(st.floats(0.5, 100), min_size=2, max_size=8),
        answers=st.lists(st.sampled_from(["queued", "in_progress", BUSY]), max_size=20),
        seconds=st.floats(0, 30),
    )
    def test_none_polls_after_another_saw_the_end(
        self, intervals: list[float], answers: list[Any], seconds: float
    ) -> None:
        """Another poll might begin a new refresh."""
        service = Service(answer=lambda _: self.slow(seconds, answers.pop(0) if answers else "finished"))

        async def run() -> None:
            waits = [waiting(interval, status=None if at % 2 else "queued") for at, interval in enumerate(intervals)]
            await asyncio.gather(*(wait.run(service) for wait in waits))

        expected = len(answers) + 1
        with time_machine.travel(NOW, tick=False) as traveller:
            Clock(traveller).run(run())
        assert len(service.calls) == expected

    async def slow(self, seconds: float, answer: Any) -> Any:
        await asyncio.sleep(seconds)
        return answer

    def test_nothing_is_kept_of_a_contract_that_is_waited_for_no_more(self, clock: Clock) -> None:
        service = Service("finished")
        clock.run(waiting().run(service))
        gc.collect()

        assert len(service._contracts) == 0


DELAYS = st.floats(0.01, 86400)


def tick_of(delay: float) -> float:
    """Give by how much a poll may be late."""
    return min(delay / 20, 1.0)


class TestTicks:
    @given(st.floats(0, 10**7), DELAYS)
    def test_a_poll_is_late_by_a_small_part_of_its_delay_and_hardly_early(self, due_at: float, delay: float) -> None:
        assert -tick_of(delay) / 4 - 1e-6 <= next_tick(due_at, delay) - due_at <= tick_of(delay) + 1e-6

    @given(st.lists(st.floats(1000, 1000.2), min_size=2, max_size=20))
    def test_polls_that_are_due_together_come_together(self, due: list[float]) -> None:
        assert len({next_tick(due_at, 5.0) for due_at in due}) <= 2

    @given(st.floats(0, 10**7), st.integers(1, 60), st.floats(0, 0.04))
    def test_an_interval_is_kept_from_poll_to_poll(self, begin: float, interval: int, answer_took: float) -> None:
        first = next_tick(begin, interval)
        second = next_tick(first + min(answer_took, interval / 320) + interval, interval)

        assert abs(second - first - interval) < 1e-6

    def test_what_is_due_now_is_not_put_off(self) -> None:
        assert next_tick(12.345, 0.0) == 12.345

    @pytest.mark.parametrize("place", ["poller", "contract"])
    def test_a_sleep_never_outlasts_the_deadline(self, place: str, clock: Clock) -> None:
        service = Service()
        sleeper = service if place == "poller" else service.contract(CONTRACT)
        woken_at = []

        async def run() -> None:
            for seconds, longest in ((60.3, 60.31), (3600, 10), (60, 10**6)):
                await sleeper.sleep(seconds, longest)
                woken_at.append(clock.seconds)

        clock.run(run())
        assert woken_at == pytest.approx([60.31, 70.31, 131])

    def test_waits_that_begin_apart_soon_poll_together(self, clock: Clock) -> None:
        service = Service(answer=lambda _: "queued")

        async def begin(number: int) -> None:
            await asyncio.sleep(number * 0.01)
            await waiting(30, None, contract_address=address(number), deadline=in_seconds(100)).run(service)

        async def run() -> None:
            await asyncio.gather(*(begin(number) for number in range(50)), return_exceptions=True)

        clock.run(run())
        later = {at for at in service.asked_at if at > 1}
        assert len(service.asked_at) == 5 * 50
        assert len(later) <= 2 * 4


def settings_of(emulator: AlchemyEmulator, **settings: Any) -> ClientSettings:
    defaults: dict[str, Any] = {
        "api_key": emulator.api_key,
        "host": emulator.url,
        "compute_units_per_second": 1_000_000,
        "timeout": 60,
        "verify": False,
    }
    return ClientSettings(**defaults | settings)


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


async def ask(poller: Poller, contract: str = CONTRACT, usage: Usage | None = None) -> RefreshStatus:
    call = endpoints.reingest_contract(contract, poller.settings)
    return await poller.send(call, usage=usage or Usage(), max_attempts=1)


@pytest.mark.integration
class TestTheSession:
    async def test_many_waits_use_few_connections(self, emulator: AlchemyEmulator) -> None:
        async with poller_of(emulator) as poller:
            await asyncio.gather(*(ask(poller, address(number)) for number in range(300)))

        assert emulator.count() == 300
        assert emulator.connections <= CONNECTIONS

    async def test_the_cost_of_every_request_is_given_to_those_who_count(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("http", status=500, times=1)
        counted, usage = list[tuple[int, int]](), Usage()
        async with poller_of(
            emulator, on_call=lambda spent: counted.append((spent.calls, spent.compute_units))
        ) as poller:
            for _ in range(2):
                try:
                    await ask(poller, usage=usage)
                except AlchemyServerError:
                    continue

        assert len(counted) == usage.calls == 2
        assert sum(units for _, units in counted) == usage.compute_units == emulator.compute_units

    async def test_a_wait_ends_with_the_refresh(self, emulator: AlchemyEmulator) -> None:
        emulator.set_job(CONTRACT, running_seconds=0.2)
        wait = waiting(0.05, status=None)
        async with poller_of(emulator) as poller:
            await wait.run(poller)

        assert (wait.state.status, wait.state.polls) == ("finished", emulator.count())

    @pytest.mark.parametrize("fault", [{"kind": "hang"}, {"kind": "http", "status": 429, "message": "throughput"}])
    async def test_a_deadline_ends_a_wait_also_where_the_service_does_not(
        self, fault: dict[str, Any], emulator: AlchemyEmulator
    ) -> None:
        emulator.add_fault(**fault)
        wait = waiting(0.01)
        wait = waiting(0.01, deadline=(wait.state.started_at or in_seconds(0)))
        async with poller_of(emulator, timeout=0.2) as poller:
            with pytest.raises(AlchemyDeadlineError, match="the last poll failed: "):
                await wait.run(poller)

    async def test_a_used_up_month_is_no_throttling(self, emulator: AlchemyEmulator) -> None:
        emulator.configure(monthly_units=0)
        async with poller_of(emulator) as poller:
            with pytest.raises(AlchemyQuotaError, match="Monthly capacity"):
                await waiting(status=None).run(poller)

    async def test_waits_spend_no_more_than_they_may_together(self, emulator: AlchemyEmulator) -> None:
        limit = SpendingLimit(PRICE * 7 + PRICE - 1)
        async with poller_of(emulator) as poller:
            calls = (endpoints.reingest_contract(address(number), poller.settings) for number in range(20))
            ends = await asyncio.gather(
                *(poller.send(call, usage=Usage(), max_attempts=1, spending_limit=limit) for call in calls),
                return_exceptions=True,
            )

        assert emulator.compute_units == PRICE * 7
        assert sum(isinstance(end, AlchemySpendingLimitError) for end in ends) == 13

    async def test_nothing_is_left_of_a_poller_that_was_closed(self, emulator: AlchemyEmulator) -> None:
        emulator.add_fault("hang", contract_address=address(2))
        unclosed = list[Any]()
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unclosed.append(context))

        async def renew() -> ClientSettings:
            return settings_of(emulator)

        async with poller_of(emulator, renew) as poller:
            await ask(poller)
            emulator.rotate_key()
            await ask(poller)
            before = emulator.count()
            waits = [waiting(3600, status, contract_address=address(2)) for status in (None, None, "queued")]
            running = [asyncio.create_task(wait.run(poller)) for wait in waits]
            await asyncio.to_thread(eventually, lambda: emulator.count() == before + 1)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        del poller, waits, running, task
        gc.collect()

        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert unclosed == []


@pytest.mark.integration
class TestAKeyThatIsRefused:
    async def test_a_rotated_one_is_read_once_for_all_calls(self, emulator: AlchemyEmulator) -> None:
        readings = []

        async def renew() -> ClientSettings:
            readings.append(emulator.api_key)
            await asyncio.sleep(0)
            return settings_of(emulator)

        async with poller_of(emulator, renew) as poller:
            await ask(poller, address(0))
            key = emulator.rotate_key()
            await asyncio.gather(*(ask(poller, address(number)) for number in range(30)))

            assert (readings, poller.settings.api_key) == ([key], key)

    @pytest.mark.parametrize("reading", ["the same", "out of reach", "of another error", None], ids=str)
    async def test_one_that_stays_is_what_the_wait_sees(self, reading: str | None, emulator: AlchemyEmulator) -> None:
        stale = settings_of(emulator)

        async def renew() -> ClientSettings:
            if reading == "the same":
                return stale
            raise OSError if reading == "out of reach" else AlchemyConnectionError("no such connection")

        async with poller_of(emulator, None if reading is None else renew) as poller:
            emulator.rotate_key()
            with pytest.raises(AlchemyError) as caught:
                await ask(poller)

        assert type(caught.value) is AlchemyAuthenticationError
