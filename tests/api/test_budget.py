# SPDX-License-Identifier: Apache-2.0
"""The throughput budget: its arithmetic, and who shares it."""

from __future__ import annotations

import gc
import threading
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api import throttle as budget
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.throttle import UnitBudget, budget_of

from .shells import KEY

WINDOW = 10
UNITS = st.sampled_from([10, 80, 160, 480, 600])
GAPS = st.integers(0, 64).map(lambda quarters: quarters / 4)  # exact in binary, so that sums have no rounding
CALLS = st.lists(st.tuples(GAPS, UNITS), min_size=1, max_size=60)


def starts(account: UnitBudget, calls: list[tuple[float, int]]) -> list[float]:
    """Give when each call may start, where each comes a gap after the one before."""
    arrivals = accumulate(gap for gap, _ in calls)
    return [now + account.reserve(units, now) for now, (_, units) in zip(arrivals, calls, strict=True)]


def test_calls_that_fit_into_the_window_start_at_once() -> None:
    account = UnitBudget(48, spread_seconds=0)
    assert [account.reserve(160, 100.0) for _ in range(3)] == [0, 0, 0]


def test_the_first_call_that_does_not_fit_starts_when_the_oldest_leaves_the_window() -> None:
    account = UnitBudget(48, spread_seconds=0)
    assert starts(account, [(100, 240), (2, 240), (1, 240), (0, 240)]) == [100, 102, 110, 112]


def test_a_free_account_makes_six_submissions_in_ten_seconds() -> None:
    account = UnitBudget(300, spread_seconds=0)
    assert [account.reserve(480, 0.0) for _ in range(13)] == [0] * 6 + [10] * 6 + [20]


def test_units_are_held_longer_by_as_much_as_a_call_may_be_late() -> None:
    account = UnitBudget(48, spread_seconds=0.5)
    assert starts(account, [(0, 480), (1, 480)]) == [0, 10.5]


def test_units_come_back_after_the_window() -> None:
    account = UnitBudget(48, spread_seconds=0)
    assert starts(account, [(0, 480), (10, 480)]) == [0, 10]


def test_a_cheap_call_does_not_overtake_a_dear_one_that_waits() -> None:
    account = UnitBudget(48, spread_seconds=0)
    assert starts(account, [(0, 470), (1, 480), (1, 10)]) == [0, 10, 20]


def test_a_call_dearer_than_the_whole_window_starts_when_the_window_is_empty() -> None:
    account = UnitBudget(48, spread_seconds=0)
    assert starts(account, [(0, 100), (1, 600), (1, 10)]) == [0, 10, 20]


def test_another_length_of_the_window_is_possible() -> None:
    account = UnitBudget(480, window_seconds=1, spread_seconds=0)
    assert [account.reserve(480, 0.0) for _ in range(3)] == [0, 1, 2]


@given(rate=st.integers(48, 300), calls=CALLS)
def test_no_window_holds_more_units_than_the_capacity(rate: int, calls: list[tuple[float, int]]) -> None:
    begun = starts(UnitBudget(rate), calls)
    for begin in begun:
        inside = [units for start, (_, units) in zip(begun, calls, strict=True) if begin <= start < begin + WINDOW]
        assert sum(inside) <= rate * WINDOW or len(inside) == 1


@given(rate=st.integers(48, 300), calls=CALLS)
def test_calls_start_in_the_order_in_which_they_asked(rate: int, calls: list[tuple[float, int]]) -> None:
    begun = starts(UnitBudget(rate), calls)
    assert begun == sorted(begun)


@given(rate=st.integers(48, 300), calls=CALLS)
def test_no_call_starts_before_it_asked(rate: int, calls: list[tuple[float, int]]) -> None:
    arrivals = accumulate(gap for gap, _ in calls)
    assert all(start >= arrival for start, arrival in zip(starts(UnitBudget(rate), calls), arrivals, strict=True))


def test_threads_that_ask_at_once_get_as_many_starts_as_one_thread_would() -> None:
    account, delays = UnitBudget(48, spread_seconds=0), []
    threads = [threading.Thread(target=lambda: delays.append(account.reserve(240, 0.0))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(delays) == [turn * 10.0 for turn in range(10) for _ in range(2)]


def test_an_accounts_budget_is_a_little_slower_than_the_service_because_calls_arrive_late() -> None:
    # A call that arrives later than the one after it, by as little as its TLS handshake, is still in the window.
    mine = budget_of(ClientSettings(api_key=KEY, compute_units_per_second=48))
    assert mine.reserve(480, 0.0) == 0
    assert 10 < mine.reserve(480, 0.0) < 12


def test_clients_of_one_account_share_a_budget_over_its_networks() -> None:
    mine = budget_of(ClientSettings(api_key=KEY))
    assert budget_of(ClientSettings(api_key=KEY, network="base-mainnet", auth="header")) is mine


@pytest.mark.parametrize(
    "other",
    [{"api_key": "another"}, {"compute_units_per_second": 1000}, {"host": "http://127.0.0.1:1"}],
    ids=["key", "throughput", "host"],
)
def test_another_account_plan_or_service_has_a_budget_of_its_own(other: dict[str, object]) -> None:
    mine = budget_of(ClientSettings(api_key=KEY))
    assert budget_of(ClientSettings(**{"api_key": KEY} | other)) is not mine  # type: ignore[arg-type]


def test_a_budget_outlives_its_clients_because_the_services_window_does() -> None:
    mine = ClientSettings(api_key="a-key-of-its-own", host="http://127.0.0.1:2", compute_units_per_second=48)
    budget_of(mine).reserve(480, 0.0)
    gc.collect()
    assert budget_of(mine).reserve(480, 0.0) > 0


def test_the_table_of_budgets_does_not_hold_the_key() -> None:
    mine = budget_of(ClientSettings(api_key=KEY))
    assert mine in budget._budgets.values()
    assert KEY not in repr(budget._budgets)


class TestAPlaceNow:
    def test_it_is_taken_where_there_is_room(self) -> None:
        mine = UnitBudget(96, spread_seconds=0)
        assert [mine.try_to_reserve(480, 0.0) for _ in range(3)] == [True, True, False]

    def test_what_is_not_there_is_not_taken(self) -> None:
        mine = UnitBudget(48, spread_seconds=0)
        for _ in range(5):
            mine.try_to_reserve(480, 0.0)
        assert mine.reserve(480, 0.0) == 10

    def test_it_is_there_again_when_the_window_has_passed(self) -> None:
        mine = UnitBudget(48, spread_seconds=0)
        mine.try_to_reserve(480, 0.0)
        assert [mine.try_to_reserve(480, moment) for moment in (9.9, 10.0)] == [False, True]

    def test_it_does_not_go_before_those_that_wait(self) -> None:
        mine = UnitBudget(96, spread_seconds=0)
        for _ in range(3):
            mine.reserve(480, 0.0)
        assert not mine.try_to_reserve(10, 1.0)


class TestRefusals:
    def test_one_halves_the_rate(self) -> None:
        mine = UnitBudget(960)
        mine.slow_down(0.0, 1.0)
        assert mine.units_per_second == 480

    def test_calls_that_were_under_way_together_halve_it_once(self) -> None:
        mine = UnitBudget(960)
        for started_at in (0.1, 0.2, 0.3):
            mine.slow_down(started_at, 1.0 + started_at)
        assert mine.units_per_second == 480

    def test_a_call_that_started_after_the_last_refusal_halves_it_again(self) -> None:
        mine = UnitBudget(960)
        mine.slow_down(0.0, 1.0)
        mine.slow_down(1.5, 2.0)
        assert mine.units_per_second == 240

    def test_many_leave_room_for_one_call_in_a_window(self) -> None:
        mine = UnitBudget(960)
        for moment in range(100):
            mine.slow_down(float(moment), moment + 0.5)
        assert mine.reserve(480, 1000.0) == 0
        assert mine.units_per_second * 10 >= 480

    def test_the_rate_grows_back_step_by_step(self) -> None:
        mine = UnitBudget(960)
        mine.slow_down(0.0, 0.0)
        rates = []
        for windows in range(6):
            mine.reserve(0, windows * 10.0)
            rates.append(mine.units_per_second)
        assert rates == [480, 600, 720, 840, 960, 960]

    def test_refusals_now_and_then_do_not_keep_it_from_growing(self) -> None:
        mine = UnitBudget(960)
        for moment in range(0, 200, 9):
            mine.slow_down(float(moment), moment + 0.1)
        assert mine.units_per_second > 48

    def test_it_counts_for_calls_that_wait(self) -> None:
        mine = UnitBudget(96, spread_seconds=0)
        mine.reserve(480, 0.0)
        mine.slow_down(0.0, 1.0)
        assert mine.reserve(480, 1.0) == 9

    def test_a_rate_below_one_call_in_a_window_is_not_raised_by_one(self) -> None:
        mine = UnitBudget(10)
        mine.slow_down(0.0, 1.0)
        assert mine.units_per_second == 10
