# SPDX-License-Identifier: Apache-2.0
"""An account's limits: the window, the order, the pause after a refusal and how the rate grows back."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api import throttle as throttle_module
from airflow_provider_alchemy.api.errors import AlchemyRateLimitError, AlchemyServerError
from airflow_provider_alchemy.api.responses import MAX_RETRY_AFTER_SECONDS, read_retry_after
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.throttle import Queue, Throttle, backoff_seconds, throttle_of

from .shells import KEY

WINDOW = 10
UNITS = st.sampled_from([10, 80, 160, 480, 600])
GAPS = st.integers(0, 64).map(lambda quarters: quarters / 4)  # exact in binary, so that sums have no rounding
CALLS = st.lists(st.tuples(GAPS, UNITS), min_size=1, max_size=60)

STEP_SECONDS = 0.1
REFUSAL = AlchemyRateLimitError("too fast", advice="")


def starts(throttle: Throttle, calls: list[tuple[float, int]]) -> list[float]:
    """Give when each call starts, where each comes a gap after the one before and they wait in line."""
    begun, now = [], 0.0
    for arrival, (_, units) in zip(accumulate(gap for gap, _ in calls), calls, strict=True):
        now = max(now, arrival)
        while delay := throttle.try_start(units, now):
            now += delay
        begun.append(now)
    return begun


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


class TestTheBackOff:
    @pytest.mark.parametrize(
        ("failures", "least"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 64), (8, 64), (10_000, 64)]
    )
    def test_it_doubles_up_to_64_seconds_with_up_to_a_second_of_jitter(self, failures: int, least: float) -> None:
        assert least <= backoff_seconds(failures) <= least + 1

    def test_it_has_jitter(self) -> None:
        assert len({backoff_seconds(1) for _ in range(20)}) > 1

    @given(failures=st.integers(1, 100), asked=st.floats(0, 300))
    def test_what_the_service_asked_for_is_never_undercut(self, failures: int, asked: float) -> None:
        assert backoff_seconds(failures, asked) >= asked

    def test_a_service_that_asks_for_a_day_is_waited_for_five_minutes(self) -> None:
        asked = read_retry_after("86400")
        assert MAX_RETRY_AFTER_SECONDS == 300
        assert 300 <= backoff_seconds(1, asked) <= 301


class TestTheWindow:
    def test_calls_that_fit_into_it_start_at_once(self) -> None:
        throttle = Throttle(48, spread_seconds=0)
        assert [throttle.try_start(160, 100.0) for _ in range(3)] == [0, 0, 0]

    def test_the_first_call_that_does_not_fit_starts_when_the_oldest_leaves_it(self) -> None:
        throttle = Throttle(48, spread_seconds=0)
        assert starts(throttle, [(100, 240), (2, 240), (1, 240), (0, 240)]) == [100, 102, 110, 112]

    def test_a_free_account_makes_six_submissions_in_ten_seconds(self) -> None:
        assert starts(Throttle(300, spread_seconds=0), [(0, 480)] * 13) == [0] * 6 + [10] * 6 + [20]

    def test_units_are_held_longer_by_as_much_as_a_call_may_be_late(self) -> None:
        assert starts(Throttle(48, spread_seconds=0.5), [(0, 480), (1, 480)]) == [0, 10.5]

    def test_a_call_of_more_units_than_it_holds_starts_when_it_is_empty(self) -> None:
        assert starts(Throttle(48, spread_seconds=0), [(0, 100), (1, 600), (1, 10)]) == [0, 10, 20]

    def test_it_may_have_another_length(self) -> None:
        assert starts(Throttle(480, window_seconds=1, spread_seconds=0), [(0, 480)] * 3) == [0, 1, 2]

    def test_a_call_that_has_to_wait_takes_nothing_meanwhile(self) -> None:
        throttle = Throttle(48, spread_seconds=0)
        assert [throttle.try_start(480, 0.0) for _ in range(5)] == [0, 10, 10, 10, 10]
        assert throttle.try_start(480, 10.0) == 0

    @given(rate=st.integers(48, 300), calls=CALLS)
    def test_it_never_holds_more_units_than_the_rate_allows(self, rate: int, calls: list[tuple[float, int]]) -> None:
        begun = starts(Throttle(rate), calls)
        for begin in begun:
            inside = [units for start, (_, units) in zip(begun, calls, strict=True) if begin <= start < begin + WINDOW]
            assert sum(inside) <= rate * WINDOW or len(inside) == 1


class TestARefusal:
    def test_it_halves_the_rate(self) -> None:
        throttle = Throttle(960)
        throttle.report(time.monotonic(), REFUSAL)
        assert throttle.units_per_second == 480

    def test_calls_that_were_under_way_together_are_one(self) -> None:
        throttle, now = Throttle(960), time.monotonic()
        assert [throttle.report(now, REFUSAL) for _ in range(3)] == [True, False, False]
        assert (throttle.units_per_second, throttle.refusals) == (480, 1)

    def test_an_answer_to_an_earlier_call_does_not_end_it(self) -> None:
        throttle, earlier = Throttle(960), time.monotonic()
        throttle.report(earlier, REFUSAL)
        throttle.report(earlier)
        assert (throttle.is_accepted, str(throttle.refusal)) == (False, "too fast.")

    @pytest.mark.parametrize("answer", [None, AlchemyServerError("broken")], ids=["a value", "another error"])
    def test_any_other_answer_to_a_later_call_ends_it(self, answer: AlchemyServerError | None) -> None:
        throttle = Throttle(960)
        throttle.report(time.monotonic(), REFUSAL)
        throttle.report(time.monotonic(), answer)
        assert (throttle.is_accepted, throttle.refusal) == (True, None)

    def test_many_leave_room_for_one_call_in_a_window(self) -> None:
        throttle = Throttle(960)
        for _ in range(100):
            throttle.report(time.monotonic(), REFUSAL)
        assert throttle.units_per_second == 48

    def test_a_rate_below_one_call_in_a_window_is_not_raised_by_one(self) -> None:
        throttle = Throttle(10)
        throttle.report(time.monotonic(), REFUSAL)
        assert throttle.units_per_second == 10

    def test_it_pauses_all_calls_of_the_account(self) -> None:
        throttle = Throttle(1e9)
        throttle.report(time.monotonic(), AlchemyRateLimitError("too fast", retry_after_seconds=40))
        assert 39 < throttle.try_start(10, time.monotonic()) <= 41

    def test_the_rate_grows_back_by_an_eighth_of_the_plans_in_each_window(self) -> None:
        throttle, now = Throttle(960), time.monotonic()
        throttle.report(now, REFUSAL)
        rates = []
        for windows in range(1, 7):
            throttle.try_start(0, now + windows * 10.1)
            rates.append(throttle.units_per_second)
        assert rates == [600, 720, 840, 960, 960, 960]

    def test_it_does_not_put_off_growth_that_is_due(self) -> None:
        throttle = Throttle(960)
        for _ in range(2):
            throttle.report(time.monotonic(), REFUSAL)
        throttle.try_start(0, time.monotonic() + 10)
        assert throttle.units_per_second == 360


class TestAnAccount:
    def test_its_clients_share_a_throttle_over_its_networks(self) -> None:
        mine = throttle_of(ClientSettings(api_key=KEY))
        assert throttle_of(ClientSettings(api_key=KEY, network="base-mainnet", auth="header")) is mine

    @pytest.mark.parametrize(
        "other",
        [{"api_key": "another"}, {"compute_units_per_second": 1000}, {"host": "http://127.0.0.1:1"}],
        ids=["key", "throughput", "host"],
    )
    def test_another_account_plan_or_service_has_one_of_its_own(self, other: dict[str, object]) -> None:
        mine = throttle_of(ClientSettings(api_key=KEY))
        assert throttle_of(ClientSettings(**{"api_key": KEY} | other)) is not mine  # type: ignore[arg-type]

    def test_its_throttle_outlives_its_clients_because_the_services_window_does(self) -> None:
        mine = ClientSettings(api_key="a-key-of-its-own", host="http://127.0.0.1:2", compute_units_per_second=48)
        throttle_of(mine).try_start(480, 0.0)
        gc.collect()
        assert throttle_of(mine).try_start(480, 0.0) > 10

    def test_the_table_of_throttles_does_not_hold_the_key(self) -> None:
        mine = throttle_of(ClientSettings(api_key=KEY))
        assert mine in throttle_module._throttles.values()
        assert KEY not in repr(throttle_module._throttles)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Make each step of the back-off short; the list gets the number of each."""
    begun: list[int] = []

    def step(failures: int, retry_after_seconds: float | None = None) -> float:
        begun.append(failures)
        return max(STEP_SECONDS, retry_after_seconds or 0)

    monkeypatch.setattr(throttle_module, "backoff_seconds", step)
    return begun


class TestThreads:
    def test_as_many_start_as_the_window_has_room_for(self) -> None:
        throttle, begun = Throttle(960, window_seconds=1, spread_seconds=0), []
        threads = [threading.Thread(target=lambda: begun.append(throttle.wait(480))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        begun.sort()
        assert begun[2] - begun[0] >= 1

    def test_an_expensive_call_that_waits_is_not_overtaken_by_cheap_ones(self) -> None:
        throttle, order = Throttle(480, window_seconds=1, spread_seconds=0), []
        throttle.wait(470)

        def call(units: int) -> None:
            throttle.wait(units)
            order.append(units)

        first = threading.Thread(target=call, args=(480,))
        first.start()
        while not throttle._first_in_line.locked():
            time.sleep(0.001)
        second = threading.Thread(target=call, args=(10,))
        second.start()
        first.join()
        second.join()
        assert order == [480, 10]

    def test_the_last_call_before_a_deadline_is_not_held_back(self) -> None:
        throttle = Throttle(48)
        throttle.wait(480)
        begun = time.monotonic()
        assert throttle.wait(480, deadline=soon(0.2)) - begun >= 0.15

    @pytest.mark.usefixtures("steps")
    def test_a_pause_that_outlasts_the_deadline_ends_with_the_refusal(self) -> None:
        throttle = Throttle(1e9)
        throttle.report(time.monotonic(), AlchemyRateLimitError("too fast", retry_after_seconds=3600))
        with pytest.raises(AlchemyRateLimitError, match="too fast"):
            throttle.wait(10, deadline=soon(60))

    @pytest.mark.usefixtures("steps")
    def test_a_pause_is_waited_out(self) -> None:
        throttle, refused_at = Throttle(1e9), time.monotonic()
        throttle.report(refused_at, REFUSAL)
        assert throttle.wait(10) - refused_at >= STEP_SECONDS


async def queue_of(units_per_second: float = 1e9, *, is_accepted: bool = True) -> Queue:
    queue = Throttle(units_per_second, spread_seconds=0).queue()
    if is_accepted:
        queue.report(await queue.wait(0))
    return queue


async def is_kept_waiting(waiting: asyncio.Task[float]) -> bool:
    """Give the queue every chance to let a call start without any time passing."""
    for _ in range(20):
        await asyncio.sleep(0)
    return not waiting.done()


def wait(queue: Queue, units: int = 480, priority: float = 0.0) -> asyncio.Task[float]:
    return asyncio.create_task(queue.wait(units, priority=priority))


@pytest.mark.usefixtures("steps")
class TestAQueueBeforeTheFirstAnswer:
    async def test_the_second_call_waits_for_the_firsts_answer(self) -> None:
        queue = await queue_of(is_accepted=False)
        first, second = wait(queue), wait(queue)
        began_at = await first
        assert await is_kept_waiting(second)
        queue.report(began_at)
        await second

    @pytest.mark.parametrize("end", [Queue.abandon, lambda queue: queue.report(0.0, AlchemyServerError("broken"))])
    async def test_a_first_call_without_a_good_answer_lets_the_next_go(self, end: Callable[[Queue], None]) -> None:
        queue = await queue_of(is_accepted=False)
        await queue.wait(480)
        second = wait(queue)
        end(queue)
        await second

    async def test_a_first_call_that_is_abandoned_proves_nothing(self) -> None:
        queue = await queue_of(is_accepted=False)
        await queue.wait(480)
        queue.abandon()
        second, third = wait(queue), wait(queue)
        await second
        assert await is_kept_waiting(third)
        third.cancel()


@pytest.mark.usefixtures("steps")
class TestAQueue:
    async def test_calls_of_an_accepted_account_go_together(self) -> None:
        queue = await queue_of()
        await asyncio.gather(*(queue.wait(480) for _ in range(16)))

    async def test_calls_go_in_the_order_in_which_they_came(self) -> None:
        queue = Throttle(9600, window_seconds=0.05, spread_seconds=0).queue()
        order: list[int] = []

        async def call(number: int) -> None:
            queue.report(await queue.wait(480))
            order.append(number)

        await asyncio.gather(*(call(number) for number in range(5)))
        assert order == [0, 1, 2, 3, 4]

    async def test_a_priority_of_some_seconds_goes_before_what_came_less_than_that_before(self) -> None:
        queue = Throttle(9600, window_seconds=0.05, spread_seconds=0).queue()
        order: list[float] = []

        async def call(priority: float) -> None:
            queue.report(await queue.wait(480, priority=priority))
            order.append(priority)

        await asyncio.gather(*(call(priority) for priority in (1.0, 5.0, 3.0)))
        assert order == [5.0, 3.0, 1.0]

    async def test_the_window_decides_when(self) -> None:
        queue = await queue_of(48)
        await queue.wait(480)
        second = wait(queue)
        assert await is_kept_waiting(second)
        second.cancel()

    async def test_the_last_call_before_a_deadline_is_not_held_back(self) -> None:
        queue = await queue_of(48)
        begun = await queue.wait(480)
        assert await queue.wait(480, deadline=soon(0.2)) - begun >= 0.15

    async def test_all_users_of_an_account_in_a_loop_share_one(self) -> None:
        throttle = Throttle(1e9)
        queue = throttle.queue()
        assert throttle.queue() is queue

    def test_another_event_loop_has_one_of_its_own(self) -> None:
        throttle = Throttle(1e9)

        async def queue() -> Queue:
            return throttle.queue()

        first = asyncio.run(queue())
        assert asyncio.run(queue()) is not first


class TestARefusedQueue:
    async def test_a_step_has_one_attempt_however_many_wait(self, steps: list[int]) -> None:
        queue = await queue_of()
        queue.report(await queue.wait(480), REFUSAL)
        attempts: list[float] = []

        async def call() -> None:
            began_at = await queue.wait(480)
            attempts.append(began_at)
            queue.report(began_at, REFUSAL)

        await asyncio.gather(*(call() for _ in range(5)))
        assert steps == [1, 2, 3, 4, 5, 6]
        assert all(later - earlier >= STEP_SECONDS * 0.9 for earlier, later in pairwise(attempts))

    async def test_calls_that_were_under_way_together_are_one_refusal(self, steps: list[int]) -> None:
        queue = await queue_of()
        for began_at in [await queue.wait(480) for _ in range(5)]:
            queue.report(began_at, REFUSAL)
        assert steps == [1]

    @pytest.mark.usefixtures("steps")
    async def test_one_answer_ends_it(self) -> None:
        queue = await queue_of()
        queue.report(await queue.wait(480), REFUSAL)
        queue.report(await queue.wait(480))
        await asyncio.gather(*(queue.wait(480) for _ in range(16)))

    @pytest.mark.usefixtures("steps")
    async def test_a_call_that_waits_gives_up_after_its_number_of_refusals(self) -> None:
        queue = await queue_of()
        queue.report(await queue.wait(480), REFUSAL)
        probe = await queue.wait(480)
        waiting = asyncio.create_task(queue.wait(480, max_refusals=1))
        assert await is_kept_waiting(waiting)
        queue.report(probe, REFUSAL)
        with pytest.raises(AlchemyRateLimitError, match="too fast"):
            await waiting

    @pytest.mark.usefixtures("steps")
    async def test_a_call_that_waits_raises_the_refusal_at_its_deadline(self) -> None:
        queue = await queue_of()
        queue.report(await queue.wait(480), AlchemyRateLimitError("too fast", retry_after_seconds=3600))
        with pytest.raises(AlchemyRateLimitError, match="too fast"):
            await queue.wait(480, deadline=soon(0.1))


@pytest.mark.usefixtures("steps")
class TestWhatIsLeft:
    async def test_a_cancelled_wait_leaves_no_task(self) -> None:
        queue = await queue_of(is_accepted=False)
        await queue.wait(480)
        waiting = wait(queue)
        await is_kept_waiting(waiting)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await is_kept_waiting(waiting)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_a_cancelled_wait_takes_no_turn_from_the_next(self) -> None:
        queue = await queue_of(is_accepted=False)
        began_at = await queue.wait(480)
        first, second = wait(queue), wait(queue)
        await is_kept_waiting(second)
        first.cancel()
        queue.report(began_at)
        await second
