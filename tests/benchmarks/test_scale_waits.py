# SPDX-License-Identifier: Apache-2.0
"""What the scale benchmark makes of the emulator's calls and of the task instances in the database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.testing.calls import Auth, Call
from dev.benchmarks.scale.plan import Place, Side
from dev.benchmarks.scale.waits import TaskEnd, Wait, delays_of, histogram, put_together, widened

PLACE = Place("scale_0000", "wait_0")
CONTRACT = "0x1"


def call(at: float, state: str | None, contract: str = CONTRACT) -> Call:
    return Call(at, "reingestContract", "eth-mainnet", contract, Auth.PATH, 200, state, 480)


def wait_of(*calls: Call, end: TaskEnd | None = None) -> Wait:
    ends = {} if end is None else {PLACE: end}
    (wait,) = put_together({PLACE: CONTRACT}, {CONTRACT: 60.0}, calls, ends)
    return wait


def test_a_job_ends_its_length_after_the_first_call_whoever_sees_it() -> None:
    wait = wait_of(
        call(100, "in_progress"),
        call(120, "finished", contract="0x2"),
        call(130, "in_progress"),
        call(190, "finished"),
        end=TaskEnd("success", 193.0),
    )

    assert (wait.submitted_at, wait.job_ended_at, wait.seen_at, wait.ended_at) == (100, 160, 190, 193)
    assert (wait.to_seen, wait.seen_to_end, wait.to_end) == (30, 3, 33)
    assert (wait.calls, wait.calls_after, wait.side) == (3, 0, Side.TRIGGERER)
    assert wait.is_right


def test_calls_after_the_end_was_told_are_counted() -> None:
    assert wait_of(call(100, "in_progress"), call(170, "finished"), call(180, "finished")).calls_after == 1


@pytest.mark.parametrize(
    "end",
    [TaskEnd("success", 159.9), TaskEnd("failed", 170.0), TaskEnd("deferred", None), None],
    ids=["before its refresh", "failed", "not ended", "no task instance"],
)
def test_a_wait_that_ended_otherwise_is_not_right(end: TaskEnd | None) -> None:
    assert not wait_of(call(100, "in_progress"), call(165, "finished"), end=end).is_right


def test_a_wait_that_nobody_asked_for_has_no_delay() -> None:
    wait = wait_of(end=TaskEnd("success", 193.0))

    assert (wait.to_seen, wait.seen_to_end, wait.to_end) == (None, None, None)
    assert not wait.is_right
    assert delays_of([wait], lambda one: one.to_end) is None


def test_delays_are_summed_up_over_the_waits_that_have_one() -> None:
    ended = [
        wait_of(call(100, "in_progress"), call(160, "finished"), end=TaskEnd("success", 160.0 + late))
        for late in range(101)
    ]
    delays = delays_of([*ended, wait_of()], lambda one: one.to_end)

    assert delays is not None
    assert (delays.count, delays.median, delays.p95, delays.p99, delays.longest) == (101, 50, 95, 99, 100)


def test_one_delay_is_all_its_figures() -> None:
    delays = delays_of([wait_of(call(0, "finished"), end=TaskEnd("success", 67.0))], lambda one: one.to_end)

    assert delays is not None
    assert (delays.median, delays.p95, delays.longest) == (7, 7, 7)


def test_a_histogram_counts_whole_seconds() -> None:
    assert histogram([0.2, 0.9, 3.1, -0.5]) == [3, 0, 0, 1]
    assert histogram([]) == []


@given(st.lists(st.floats(0, 5000), max_size=200), st.integers(10, 60))
def test_a_coarser_histogram_loses_nothing(values: list[float], classes: int) -> None:
    width, counts = widened(histogram(values), classes)

    assert sum(counts) == len(values)
    assert len(counts) <= classes
    assert all(
        count == sum(width * number <= value < width * (number + 1) for value in values)
        for number, count in enumerate(counts)
    )
