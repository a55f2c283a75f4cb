# SPDX-License-Identifier: Apache-2.0
"""The stream of waits: when they start, and what becomes of those that end, hang, or are too many."""

from __future__ import annotations

from typing import cast

import pytest

from dev.benchmarks.soak.kinds import Kind, Load
from dev.benchmarks.soak.stream import HANG_LOOKS, MOST_OF_A_KIND, Stream
from dev.local_airflow import LocalAirflow
from tests.benchmarks.soak_runs import ScriptedAirflow, ScriptedService

PACE, WAIT = 2.0, 10.0
TURN = len(Load.CORE.turn)


class Hours:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Hours:
    return Hours()


@pytest.fixture
def airflow() -> ScriptedAirflow:
    return ScriptedAirflow()


@pytest.fixture
def stream(airflow: ScriptedAirflow, clock: Hours) -> Stream:
    return Stream(
        cast("LocalAirflow", airflow),
        ScriptedService(),
        Load.CORE,
        pace_seconds=PACE,
        wait_seconds=WAIT,
        clock=clock,
    )


def work(stream: Stream, clock: Hours, seconds: float) -> None:
    for _ in range(int(seconds)):
        stream.start_what_is_due()
        stream.look()
        clock.now += 1


def end(airflow: ScriptedAirflow, clock: Hours) -> None:
    """Let every run end as its kind has to."""
    for run in airflow.runs:
        run.answer = Kind(run.dag_id).ending.state
        run.log = Kind(run.dag_id).ending.reason
        run.ended_at = run.ended_at or clock.now


def test_waits_start_at_an_even_pace_in_turn(stream: Stream, airflow: ScriptedAirflow, clock: Hours) -> None:
    work(stream, clock, PACE * TURN)

    assert [run.dag_id for run in airflow.runs] == [kind.value for kind in Load.CORE.turn]
    assert stream.under_way == TURN


def test_late_starts_are_no_burst(stream: Stream, airflow: ScriptedAirflow, clock: Hours) -> None:
    stream.start_what_is_due()
    clock.now += 100 * PACE
    work(stream, clock, PACE)

    assert len(airflow.runs) == 2


def test_a_wait_that_ended_well_is_counted(stream: Stream, airflow: ScriptedAirflow, clock: Hours) -> None:
    stream.start_what_is_due()
    clock.now += WAIT
    end(airflow, clock)
    stream.look()

    assert (stream.under_way, stream.ended, stream.troubles) == (0, {Kind.CORE_WAIT: 1}, [])


def test_it_is_known_which_kinds_have_not_ended(stream: Stream, airflow: ScriptedAirflow, clock: Hours) -> None:
    assert stream.kinds_without_end == {*Load.CORE.turn}

    work(stream, clock, PACE * TURN)
    clock.now += WAIT
    end(airflow, clock)
    stream.look()

    assert stream.kinds_without_end == set()
    assert stream.troubles == []


def test_one_that_ends_too_early_is_trouble(stream: Stream, airflow: ScriptedAirflow, clock: Hours) -> None:
    stream.start_what_is_due()
    clock.now += WAIT - 1
    end(airflow, clock)
    stream.look()

    assert stream.troubles == ["soak_core_wait: run run_0 ended after 9.0 s, before the 10 s that it had to take."]


def test_one_that_fails_is_trouble_with_its_last_words(stream: Stream, airflow: ScriptedAirflow, clock: Hours) -> None:
    stream.start_what_is_due()
    clock.now += WAIT
    airflow.runs[0].answer, airflow.runs[0].log = "failed", "first\nValueError: why\n::endgroup::"
    stream.look()

    assert stream.troubles == ["soak_core_wait: run run_0 ended as 'failed', not as 'success': ValueError: why"]


def test_one_that_hangs_is_trouble_and_is_given_up(stream: Stream, airflow: ScriptedAirflow, clock: Hours) -> None:
    stream.start_what_is_due()
    clock.now += WAIT - 1
    for _ in range(HANG_LOOKS):
        clock.now += 1
        stream.look()
    assert (stream.under_way, stream.troubles) == (1, [])

    clock.now += 2
    stream.look()
    assert stream.under_way == 0
    assert stream.troubles == [
        "soak_core_wait: run run_0 hangs: it was due 241 s ago and is 'running' (wait is running)."
    ]
    assert len(airflow.runs) == 1


def test_one_that_is_lost_is_trouble(stream: Stream, airflow: ScriptedAirflow, clock: Hours) -> None:
    stream.start_what_is_due()
    clock.now += WAIT
    airflow.runs[0].answer = "gone"
    stream.look()

    assert (stream.under_way, stream.troubles) == (0, ["soak_core_wait: run run_0 is lost: no such run"])


def test_an_api_server_that_is_busy_is_asked_again(stream: Stream, airflow: ScriptedAirflow, clock: Hours) -> None:
    stream.start_what_is_due()
    clock.now += WAIT
    airflow.runs[0].answer = "unreachable"
    stream.look()
    assert (stream.under_way, stream.troubles) == (1, [])

    clock.now += 1
    end(airflow, clock)
    stream.look()
    assert (stream.under_way, stream.troubles) == (0, [])


def test_a_machine_that_cannot_keep_up_gets_no_more_of_a_kind(
    stream: Stream, airflow: ScriptedAirflow, clock: Hours
) -> None:
    # Nothing ends.
    work(stream, clock, PACE * TURN * (MOST_OF_A_KIND + 2))

    assert len(airflow.runs) == TURN * MOST_OF_A_KIND
    assert stream.held_back == TURN * 2


def test_an_idle_load_starts_nothing(airflow: ScriptedAirflow, clock: Hours) -> None:
    idle = Stream(
        cast("LocalAirflow", airflow), ScriptedService(), Load.IDLE, pace_seconds=PACE, wait_seconds=WAIT, clock=clock
    )
    work(idle, clock, 60)

    assert airflow.runs == []
    assert idle.kinds_without_end == set()
