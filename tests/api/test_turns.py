# SPDX-License-Identifier: Apache-2.0
"""Whose poll is next: the order, the budget, and one attempt for each step of the back-off."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise

import pytest

from airflow_provider_alchemy.api import turns as turns_module
from airflow_provider_alchemy.api.budget import UnitBudget
from airflow_provider_alchemy.api.errors import AlchemyRateLimitError
from airflow_provider_alchemy.api.turns import Turns, turns_of

STEP_SECONDS = 0.1
A_DAY = 86_400.0
REFUSAL = AlchemyRateLimitError("too fast")


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make each step of the back-off short; the list gets the number of each."""
    begun: list[int] = []

    def step(failures: int, retry_after_seconds: float | None = None) -> float:
        begun.append(failures)
        return max(STEP_SECONDS, retry_after_seconds or 0)

    monkeypatch.setattr(turns_module, "backoff_seconds", step)
    return begun


def turns_with(units_per_second: float = 1e9) -> Turns:
    return Turns(UnitBudget(units_per_second), units=480)


async def accepted(turns: Turns) -> Turns:
    turns.settle(await turns.take(0))
    return turns


async def is_kept_waiting(take: asyncio.Task[float]) -> bool:
    """Give the queue every chance to hand out a turn without any time passing."""
    for _ in range(20):
        await asyncio.sleep(0)
    return not take.done()


def take(turns: Turns, rank: float = 0.0) -> asyncio.Task[float]:
    return asyncio.create_task(turns.take(rank))


class TestBeforeTheFirstAnswer:
    async def test_the_second_call_waits_for_the_firsts_answer(self) -> None:
        turns = turns_with()
        first, second = take(turns), take(turns)
        began_at = await first

        assert await is_kept_waiting(second)

        turns.settle(began_at)
        await second

    async def test_a_turn_that_nobody_used_goes_to_the_next(self) -> None:
        turns = turns_with()
        await turns.take(0)
        second = take(turns)

        turns.give_back()

        await second

    async def test_a_turn_that_nobody_used_proves_nothing(self) -> None:
        turns = turns_with()
        await turns.take(0)
        turns.give_back()
        await turns.take(0)

        third = take(turns)

        assert await is_kept_waiting(third)
        third.cancel()


class TestAnAcceptedAccount:
    async def test_calls_may_be_under_way_together(self) -> None:
        turns = await accepted(turns_with())

        await asyncio.gather(*(turns.take(rank) for rank in range(16)))

    async def test_the_lowest_rank_is_next(self) -> None:
        turns = turns_with()
        began_at = await turns.take(0)
        order: list[float] = []

        async def poll(rank: float) -> None:
            await turns.take(rank)
            order.append(rank)

        polls = [asyncio.create_task(poll(rank)) for rank in (5.0, 1.0, 3.0)]
        assert await is_kept_waiting(polls[0])  # type: ignore[arg-type]
        turns.settle(began_at)
        await asyncio.gather(*polls)

        assert order == [1.0, 3.0, 5.0]

    async def test_the_budget_decides_when(self) -> None:
        turns = await accepted(Turns(UnitBudget(480 / A_DAY, window_seconds=A_DAY), units=480))

        second = take(turns)

        assert await is_kept_waiting(second)
        second.cancel()


class TestARefusedAccount:
    async def test_nobody_gets_a_turn_before_the_step_is_over(self) -> None:
        turns = await accepted(turns_with())
        began_at = await turns.take(0)
        turns.settle(began_at, REFUSAL)
        refused_at = time.monotonic()

        assert await turns.take(0) - refused_at >= STEP_SECONDS * 0.9

    async def test_a_step_has_one_attempt_whoever_waits(self, steps: list[int]) -> None:
        turns = await accepted(turns_with())
        turns.settle(await turns.take(0), REFUSAL)
        attempts: list[float] = []

        async def poll() -> None:
            began_at = await turns.take(0)
            attempts.append(began_at)
            turns.settle(began_at, REFUSAL)

        await asyncio.gather(*(poll() for _ in range(5)))

        assert len(attempts) == len(steps) - 1
        assert all(later - earlier >= STEP_SECONDS * 0.9 for earlier, later in pairwise(attempts))

    async def test_each_step_is_longer_than_the_one_before(self, steps: list[int]) -> None:
        turns = turns_with()
        for _ in range(3):
            turns.settle(await turns.take(0), REFUSAL)

        assert steps == [1, 2, 3]

    async def test_calls_that_were_under_way_together_are_one_refusal(self, steps: list[int]) -> None:
        turns = await accepted(turns_with())
        began = [await turns.take(0) for _ in range(5)]
        for began_at in began:
            turns.settle(began_at, REFUSAL)

        assert steps == [1]

    async def test_an_answer_to_a_call_before_the_refusal_does_not_end_it(self) -> None:
        turns = await accepted(turns_with())
        earlier, refused = await turns.take(0), await turns.take(0)
        turns.settle(refused, REFUSAL)
        turns.settle(earlier)

        assert turns.refusal is REFUSAL

    async def test_one_answer_ends_it(self) -> None:
        turns = turns_with()
        turns.settle(await turns.take(0), REFUSAL)
        turns.settle(await turns.take(0))

        await asyncio.gather(*(turns.take(0) for _ in range(16)))
        assert turns.refusal is None

    async def test_the_seconds_that_the_service_asks_for_are_kept(self) -> None:
        turns = turns_with()
        turns.settle(await turns.take(0), AlchemyRateLimitError("too fast", retry_after_seconds=3 * STEP_SECONDS))
        refused_at = time.monotonic()

        assert await turns.take(0) - refused_at >= STEP_SECONDS * 2.9


class TestWhatIsLeft:
    async def test_a_cancelled_wait_leaves_no_task(self) -> None:
        turns = turns_with()
        await turns.take(0)
        waiting = take(turns)
        await is_kept_waiting(waiting)

        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await is_kept_waiting(waiting)

        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_a_cancelled_wait_takes_no_turn_from_the_next(self) -> None:
        turns = turns_with()
        began_at = await turns.take(0)
        first, second = take(turns, 1), take(turns, 2)
        await is_kept_waiting(second)
        first.cancel()
        turns.settle(began_at)

        await second

    async def test_all_pollers_of_an_account_share_a_queue(self) -> None:
        budget = UnitBudget(1e9)
        queue = turns_of(budget, 480)

        assert turns_of(budget, 480) is queue

    async def test_another_account_has_a_queue_of_its_own(self) -> None:
        first, second = UnitBudget(1e9), UnitBudget(1e9)
        queue = turns_of(first, 480)

        assert turns_of(second, 480) is not queue

    def test_another_event_loop_has_a_queue_of_its_own(self) -> None:
        budget = UnitBudget(1e9)

        async def queue() -> Turns:
            return turns_of(budget, 480)

        first = asyncio.run(queue())
        assert asyncio.run(queue()) is not first
