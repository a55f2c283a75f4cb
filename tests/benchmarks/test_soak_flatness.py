# SPDX-License-Identifier: Apache-2.0
"""The rule of a soak: what counts as flat."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.benchmarks.soak.flatness import (
    FIRST_SECONDS,
    GRAINS,
    LIMIT_PERCENT,
    MIB,
    Flatness,
    Measure,
    State,
    flatness,
    floors,
    logs_of_a_wait,
    shown,
    slope,
)

TURN = 30.0
HALF_AN_HOUR, TWO_MINUTES = 30.0, 2.0
Value = Callable[[float], float]


def moments(minutes: float, value_at: Value, every: float = 3.0) -> list[tuple[float, float]]:
    """Measure something every three seconds; it is told the minute."""
    count = int(60 * minutes / every) + 1
    return [(number * every, value_at(number * every / 60)) for number in range(count)]


def judged(measure: Measure, minutes: float, value_at: Value) -> Flatness:
    found = flatness(measure, floors(moments(minutes, value_at), TURN))
    assert found is not None
    return found


def judged_logs(minutes: float, size_at: Value, waits_a_minute: float = 24) -> Flatness | None:
    values = [(at, size, int(at / 60 * waits_a_minute)) for at, size in moments(minutes, size_at)]
    return flatness(Measure.LOG, logs_of_a_wait(values, 12))


def test_what_does_not_change_is_flat() -> None:
    found = judged(Measure.MEMORY, HALF_AN_HOUR, lambda _: 250 * MIB)

    assert (found.percent, found.rise, found.state) == (0.0, 0.0, State.FLAT)
    assert (found.start, found.end) == (250 * MIB, 250 * MIB)


def test_a_leak_of_more_than_a_percent_a_minute_is_found() -> None:
    found = judged(Measure.MEMORY, HALF_AN_HOUR, lambda minute: 250 * MIB * (1 + 0.013 * minute))

    assert found.state is State.RISING
    # In per cent of its mean, which is at half the time.
    assert found.percent == pytest.approx(1.3 / (1 + 0.013 * 15.6), rel=0.01)


def test_a_slower_rise_is_flat() -> None:
    assert judged(Measure.MEMORY, HALF_AN_HOUR, lambda minute: 250 * MIB * (1 + 0.009 * minute)).state is State.FLAT


def test_the_first_minute_does_not_count() -> None:
    def warming_up(minute: float) -> float:
        return 250 * MIB * min(minute, 1.0)

    assert judged(Measure.MEMORY, HALF_AN_HOUR, warming_up).state is State.FLAT
    assert judged(Measure.MEMORY, TWO_MINUTES, warming_up).state is State.FLAT


def test_what_shrinks_is_flat() -> None:
    assert judged(Measure.OPEN_FILES, HALF_AN_HOUR, lambda minute: 100 - 2 * minute).state is State.FLAT


def test_waits_that_come_and_go_are_no_slope() -> None:
    def busy(minute: float) -> float:
        # More and more of them, on a machine that gets slower: what is held at rest stays.
        return 20 + minute * (1 + math.sin(2 * math.pi * minute * 60 / 21))

    found = judged(Measure.OPEN_FILES, HALF_AN_HOUR, busy)

    assert found.state is State.FLAT
    assert abs(found.percent) < 0.3


def test_a_single_jump_does_not_turn_the_slope() -> None:
    def jumping(minute: float) -> float:
        return 400 * MIB if 14 < minute < 16 else 250 * MIB

    assert abs(judged(Measure.MEMORY, HALF_AN_HOUR, jumping).percent) < 0.1


@pytest.mark.parametrize("measure", GRAINS)
def test_in_a_short_run_a_rise_within_the_grain_is_told_from_a_leak(measure: Measure) -> None:
    grain = GRAINS[measure]
    # Half a minute is what is left after the first minute and a turn.
    small = judged(measure, TWO_MINUTES, lambda minute: 10 * grain + 1.8 * grain * minute)
    large = judged(measure, TWO_MINUTES, lambda minute: 10 * grain + 2.2 * grain * minute)

    assert small.percent > LIMIT_PERCENT
    assert (small.state, large.state) == (State.GRAIN, State.RISING)


def test_a_file_that_each_wait_leaves_open_is_found_in_two_minutes() -> None:
    waits_a_minute = 24

    assert judged(Measure.OPEN_FILES, TWO_MINUTES, lambda minute: 60 + waits_a_minute * minute).state is State.RISING


@pytest.mark.parametrize(
    ("measure", "size"),
    [
        (Measure.MEMORY, 250 * MIB),
        (Measure.OPEN_FILES, 25),
        (Measure.SOCKETS, 25),
        (Measure.TASKS, 25),
        (Measure.THREADS, 15),
        (Measure.PROCESSES, 15),
    ],
)
def test_in_half_an_hour_the_grain_excuses_nothing_of_a_usual_size(measure: Measure, size: float) -> None:
    assert judged(measure, HALF_AN_HOUR, lambda minute: size * (1 + 0.02 * minute)).state is State.RISING


def test_logs_may_grow_but_a_wait_may_not_leave_ever_more() -> None:
    def steady(minute: float) -> float:
        return 300_000 * minute

    def ever_more(minute: float) -> float:
        return 300_000 * minute * (1 + 0.02 * minute)

    flat, rising = judged_logs(HALF_AN_HOUR, steady), judged_logs(HALF_AN_HOUR, ever_more)

    assert flat is not None
    assert (flat.state, round(flat.start, -2)) == (State.FLAT, 12_500)
    assert rising is not None
    assert rising.state is State.RISING


def test_more_waits_may_leave_more_logs() -> None:
    values = [(float(at), 12_000.0 * int(at**1.5), int(at**1.5)) for at in range(0, 1_800, 3)]

    found = flatness(Measure.LOG, logs_of_a_wait(values, 12))

    assert found is not None
    assert found.percent == pytest.approx(0)


def test_the_logs_of_few_waits_tell_nothing() -> None:
    assert judged_logs(TWO_MINUTES, lambda minute: minute) is None
    assert judged_logs(HALF_AN_HOUR, lambda minute: minute, waits_a_minute=0) is None
    assert logs_of_a_wait([], 12) == []
    assert logs_of_a_wait([(100.0, 1.0, 1), (1_000.0, 2.0, 500)], 0) == []


def test_nothing_that_counts_is_no_verdict() -> None:
    assert floors([(0.0, 1.0), (FIRST_SECONDS + TURN - 1, 2.0)], TURN) == []
    assert flatness(Measure.MEMORY, []) is None


def test_too_little_that_counts_is_told() -> None:
    found = flatness(Measure.MEMORY, [(90.0, 1.0), (93.0, 2.0), (96.0, 3.0)])

    assert found is not None
    assert found.state is State.TOO_SHORT


def test_nothing_at_all_is_flat() -> None:
    assert judged(Measure.TASKS, HALF_AN_HOUR, lambda _: 0.0).state is State.FLAT


def test_a_floor_is_the_least_value_of_a_turn_after_the_first_minute() -> None:
    values = [(float(second), float(second % 20)) for second in range(0, 200, 2)]

    found = floors([(30.0, -1.0), *values], TURN)

    assert {value for _, value in found} == {0.0}
    assert found[0][0] == FIRST_SECONDS + TURN


@given(st.lists(st.floats(-1e6, 1e6), max_size=60), st.floats(1, 120))
def test_a_floor_is_one_of_the_values_and_none_above_the_newest(values: list[float], turn_seconds: float) -> None:
    measured = dict(enumerate(values, start=int(FIRST_SECONDS)))

    for at, floor in floors([(float(at), value) for at, value in measured.items()], turn_seconds):
        assert floor <= measured[int(at)]
        assert floor in values


numbers = st.floats(-1e6, 1e6)


@given(st.lists(numbers, min_size=2, max_size=30), numbers)
def test_a_slope_does_not_depend_on_the_level(values: list[float], level: float) -> None:
    one = [(float(at), value) for at, value in enumerate(values)]
    other = [(at, value + level) for at, value in one]

    assert slope(other) == pytest.approx(slope(one), abs=1e-6)


@given(numbers, numbers, st.integers(2, 40))
def test_the_slope_of_a_line_is_the_lines(level: float, a_second: float, count: int) -> None:
    assert slope([(float(at), level + a_second * at) for at in range(count)]) == pytest.approx(a_second, abs=1e-4)


def test_values_are_written_with_their_unit() -> None:
    assert shown(Measure.MEMORY, 250.5 * MIB) == "250.5 MiB"
    assert shown(Measure.LOG, 2048) == "2.0 KiB"
    assert shown(Measure.OPEN_FILES, 1_234.0) == "1,234"
