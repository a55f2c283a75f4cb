# SPDX-License-Identifier: Apache-2.0
"""When a wait looks again: at a fixed pace, exponentially, or by what the looks have shown of the refresh's course."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from typing import Any

import pendulum
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pendulum import DateTime

from airflow_provider_alchemy.api.cadence import Cadence, Course
from airflow_provider_alchemy.api.models import RefreshState
from airflow_provider_alchemy.testing.jobs import Job, JobPlan, ends_at, report_at

NOW = pendulum.datetime(2026, 11, 22, 10)
ADAPTIVE = Cadence(interval_seconds=60, max_interval_seconds=600, adaptive=True)
TEN_MINUTES, ONE_HOUR = 600, 3600

QUEUED, RUNNING = RefreshState.QUEUED, RefreshState.IN_PROGRESS
Look = tuple[float, RefreshState, float | None]


def at(seconds: float) -> DateTime:
    return NOW.add(seconds=seconds)


def course_of(*looks: Look) -> Course:
    """Take looks; each is its second, what state it showed and what progress."""
    course = Course()
    for seconds, state, progress in looks:
        course = course.seen(state, progress, at(seconds))
    return course


def delay_after(*looks: Look, cadence: Cadence = ADAPTIVE) -> float:
    return cadence.after(len(looks), course_of(*looks))


def window(course: Course) -> tuple[float, float]:
    """Give the earliest and the latest end, in seconds since NOW."""
    assert course.earliest is not None
    assert course.latest is not None
    return course.earliest.timestamp() - NOW.timestamp(), course.latest.timestamp() - NOW.timestamp()


def report(plan: JobPlan, seconds: float) -> Look:
    """Look at the emulator's job."""
    answer = report_at(plan, Job(submitted_at=0), seconds)
    return seconds, RefreshState.read(answer.state), answer.progress


def looks_at(plan: JobPlan, second_look: float, step: int = 1) -> list[float]:
    """Wait for the emulator's job in virtual time; give the seconds of all looks, from the submission on."""
    course, looks = Course(), [0.0]
    while looks[-1] < ends_at(plan, Job(submitted_at=0)):
        _, state, progress = report(plan, looks[-1])
        course = course.seen(state, progress and progress // step * step, at(looks[-1]))
        looks.append(second_look if len(looks) == 1 else looks[-1] + ADAPTIVE.after(len(looks), course))
    return looks


EACH_SECOND_LOOK = pytest.mark.parametrize("second_look", [60, 61.7, 70, 75, 82.5, 90])
EACH_QUEUE = pytest.mark.parametrize("queued", [5, 33, 59, 61, 90, 120])


@pytest.mark.parametrize("looks", [1, 2, 50])
def test_a_steady_cadence_never_changes(looks: int) -> None:
    assert Cadence(interval_seconds=7).after(looks, Course()) == 7


def test_a_steady_cadence_does_not_mind_the_course() -> None:
    assert delay_after((0, RUNNING, 0), (75, RUNNING, 2), cadence=Cadence(interval_seconds=60)) == 60


def test_a_cadence_is_steady_unless_it_is_told_otherwise() -> None:
    assert Cadence() == Cadence(interval_seconds=60.0, exponential=False, max_interval_seconds=None, adaptive=False)


@given(looks=st.integers(1, 20), interval=st.floats(1, 600))
def test_an_exponential_cadence_stays_between_its_least_and_twice_as_much(looks: int, interval: float) -> None:
    least = max(interval * 2.0 ** (looks - 2), 1.0)
    assert least <= Cadence(interval_seconds=interval, exponential=True).after(looks, Course()) <= 2 * least


@given(st.integers(2, 60))
def test_an_exponential_cadence_never_shrinks(looks: int) -> None:
    cadence = Cadence(interval_seconds=60, exponential=True)
    assert cadence.after(looks + 1, Course()) >= cadence.after(looks, Course())


@given(st.integers(1, 10_000))
def test_an_exponential_cadence_is_capped(looks: int) -> None:
    assert Cadence(interval_seconds=60, exponential=True, max_interval_seconds=300).after(looks, Course()) <= 300


def test_an_exponential_cadence_reaches_its_cap() -> None:
    assert Cadence(interval_seconds=60, exponential=True, max_interval_seconds=300).after(20, Course()) == 300


def test_an_exponential_cadence_is_finite_after_any_number_of_looks() -> None:
    assert Cadence(interval_seconds=60, exponential=True).after(10**6, Course()) < math.inf


def test_an_exponential_cadence_is_exponential_even_if_it_is_called_adaptive() -> None:
    cadence = Cadence(interval_seconds=60, exponential=True, adaptive=True)
    assert 480 <= cadence.after(5, course_of((0, RUNNING, 0), (75, RUNNING, 12))) <= 960


def test_an_exponential_cadence_has_no_limit_of_its_own_even_if_it_is_called_adaptive() -> None:
    assert Cadence(interval_seconds=60, exponential=True, adaptive=True).after(20, Course()) > 600


def test_the_first_interval_of_an_adaptive_cadence_is_the_shortest() -> None:
    assert delay_after((0, QUEUED, None)) == 60


def test_an_adaptive_cadence_without_a_look_is_steady() -> None:
    assert ADAPTIVE.after(1, Course()) == 60


def test_the_interval_grows_with_the_time_in_the_queue() -> None:
    assert delay_after((0, QUEUED, None), (1000, RefreshState.ALREADY_QUEUED, None)) == 200


def test_the_interval_in_the_queue_starts_again_for_a_refresh_that_went_back_there() -> None:
    assert delay_after((0, QUEUED, None), (1000, RUNNING, 50), (2000, QUEUED, None)) == 60


def test_the_interval_grows_gently_for_a_refresh_that_shows_no_progress() -> None:
    assert delay_after((0, QUEUED, None), (1000, RUNNING, None), (2000, RUNNING, None)) == 100


def test_a_refresh_whose_state_nobody_knows_is_taken_as_one_that_runs() -> None:
    looks = [(0.0, None), (75.0, 12), (262.0, 43)]
    unknown = course_of(*((seconds, RefreshState.UNKNOWN, progress) for seconds, progress in looks))
    assert unknown == course_of(*((seconds, RUNNING, progress) for seconds, progress in looks))


def test_a_refresh_runs_if_it_shows_progress_whatever_its_state_is_called() -> None:
    assert course_of((0, QUEUED, None), (60, RefreshState.ALREADY_QUEUED, 5)).is_running


@pytest.mark.parametrize("cadence", [ADAPTIVE, replace(ADAPTIVE, max_interval_seconds=None)], ids=["told", "default"])
def test_no_interval_is_longer_than_ten_minutes(cadence: Cadence) -> None:
    assert delay_after((0, QUEUED, None), (36_000, QUEUED, None), cadence=cadence) == 600


@pytest.mark.parametrize("longest", [None, 300], ids=["default", "told"])
def test_the_interval_that_was_asked_for_is_kept_even_if_it_is_longer_than_the_longest(longest: float | None) -> None:
    cadence = Cadence(interval_seconds=900, max_interval_seconds=longest, adaptive=True)
    assert delay_after((0, QUEUED, None), (36_000, QUEUED, None), cadence=cadence) == 900


@given(
    queued=st.floats(0, 500),
    running=st.floats(60, 20_000),
    parts=st.lists(st.floats(0, 1, exclude_max=True), min_size=2, max_size=12, unique=True),
)
def test_the_end_of_a_steady_refresh_is_never_outside_what_is_extrapolated(
    queued: float, running: float, parts: list[float]
) -> None:
    plan = JobPlan(queued_seconds=queued, running_seconds=running)
    course = course_of(*(report(plan, part * (queued + running)) for part in sorted(parts)))
    slack = 0.001
    assert course.earliest is None or course.earliest <= at(queued + running + slack)
    assert course.latest is None or course.latest >= at(queued + running - slack)


def test_the_expected_end_is_in_the_middle_of_what_fits_the_looks() -> None:
    course = course_of((0, RUNNING, 0), (100, RUNNING, 10), (300, RUNNING, 30))
    earliest, latest = window(course)
    expected = course.expected_end()
    assert expected is not None
    assert expected.timestamp() - NOW.timestamp() == pytest.approx((earliest + latest) / 2)


@pytest.mark.parametrize("progress", [15, 47, 93])
def test_the_expected_end_of_a_steady_refresh_is_near_its_end(progress: float) -> None:
    expected = course_of((0, RUNNING, 0), (10 * progress + 5, RUNNING, progress)).expected_end()
    assert expected is not None
    assert expected.timestamp() - NOW.timestamp() == pytest.approx(1000, rel=0.04)


@pytest.mark.parametrize(
    "looks",
    [
        [],
        [(0, QUEUED, None)],
        [(0, RUNNING, None), (600, RUNNING, None)],
        [(0, RUNNING, 5)],
        [(0, RUNNING, 5), (60, RUNNING, 5)],
        [(0, RUNNING, 5), (60, RUNNING, 6)],
    ],
    ids=["no look", "queue", "no progress", "one progress", "no rise", "a rise of one step"],
)
def test_no_end_is_expected_where_nothing_tells_of_it(looks: list[Look]) -> None:
    assert course_of(*looks).expected_end() is None


def test_one_progress_after_the_queue_bounds_the_end() -> None:
    assert window(course_of((0, QUEUED, None), (60, RUNNING, 10))) == pytest.approx((60, 600))


def test_the_last_look_goes_to_the_latest_end_that_fits() -> None:
    course = course_of((0, RUNNING, 0), (75, RUNNING, 12), (263, RUNNING, 43))
    assert 263 + ADAPTIVE.after(3, course) == pytest.approx(window(course)[1])


def test_a_look_that_finds_out_more_leaves_an_interval_for_the_last_one() -> None:
    course = course_of((0, RUNNING, 0), (2700, RUNNING, 50), (4700, RUNNING, 87))
    earliest, latest = window(course)
    assert latest - earliest > 60
    assert 4700 + ADAPTIVE.after(3, course) == pytest.approx(earliest - 60)


def test_a_forecast_does_not_reach_further_than_the_course_was_seen() -> None:
    assert delay_after((0, RUNNING, 0), (100, RUNNING, 1)) == 250


def test_a_refresh_that_stands_still_is_not_left_for_longer_than_it_was_seen_to() -> None:
    assert delay_after((0, RUNNING, 0), (100, RUNNING, 0)) == 100


def test_a_refresh_that_is_overdue_is_looked_at_in_the_shortest_interval() -> None:
    assert delay_after((0, RUNNING, 0), (75, RUNNING, 12), (263, RUNNING, 43), (630, RUNNING, 99)) == 60


def test_a_refresh_of_100_percent_that_has_not_ended_is_looked_at_in_the_shortest_interval() -> None:
    assert delay_after((0, RUNNING, 0), (300, RUNNING, 50), (500, RUNNING, 100), (560, RUNNING, 100)) == 60


def test_a_refresh_that_never_leaves_100_percent_is_looked_at_more_rarely() -> None:
    stuck = [(float(seconds), RUNNING, 100) for seconds in range(600, 3601, 300)]
    assert delay_after((0, RUNNING, 0), *stuck) > 60


def test_progress_that_goes_back_begins_a_new_course() -> None:
    again = course_of((0, QUEUED, None), (60, RUNNING, 5), (360, RUNNING, 55), (420, RUNNING, 3))
    assert again == course_of((420, RUNNING, 3))


def test_a_look_without_progress_leaves_the_forecast_as_it_was() -> None:
    course = course_of((0, RUNNING, 0), (75, RUNNING, 12), (262, RUNNING, 43))
    assert course.seen(RUNNING, None, at(300)).expected_end() == course.expected_end()


def test_a_look_without_progress_does_not_put_off_the_last_look() -> None:
    looks: list[Look] = [(0, RUNNING, 0), (75, RUNNING, 12), (262, RUNNING, 43)]
    assert 300 + delay_after(*looks, (300, RUNNING, None)) == pytest.approx(262 + delay_after(*looks))


def test_a_look_that_failed_does_not_put_off_the_last_look() -> None:
    looks: list[Look] = [(0, RUNNING, 0), (75, RUNNING, 12), (262, RUNNING, 43)]
    delay = ADAPTIVE.after(4, course_of(*looks), at(300))
    assert 300 + delay == pytest.approx(262 + delay_after(*looks))


def test_a_last_look_that_failed_is_made_again_after_the_shortest_interval() -> None:
    assert ADAPTIVE.after(4, course_of((0, RUNNING, 0), (75, RUNNING, 12), (262, RUNNING, 43)), at(700)) == 60


def test_a_line_that_was_bent_goes_on_from_the_progress_before() -> None:
    bent = course_of((0, RUNNING, 0), (300, RUNNING, 50), (400, RUNNING, 57), (1000, RUNNING, 63))
    assert bent.base is not None
    assert (bent.base.at, bent.base.progress) == (at(400), 57)


def test_a_line_that_goes_on_as_it_was_keeps_its_beginning() -> None:
    steady = course_of((0, RUNNING, 0), (300, RUNNING, 30), (500, RUNNING, 50), (800, RUNNING, 80))
    assert steady.base is not None
    assert steady.base.at == NOW


def test_each_look_leaves_less_of_what_is_possible() -> None:
    windows = [
        course_of(*(report(JobPlan(running_seconds=3600), s) for s in (0, 1000, 2000, last))) for last in (2500, 3000)
    ]
    (earliest, latest), (later_earliest, later_latest) = map(window, windows)
    assert later_latest - later_earliest < latest - earliest


def test_two_round_values_do_not_make_a_step() -> None:
    earliest, latest = window(course_of((0, RUNNING, 0), (60, RUNNING, 10), (300, RUNNING, 50)))
    assert latest - earliest < 60


@pytest.mark.parametrize("seconds", [-0.5, 0, -3600], ids=["a little", "not at all", "much"])
def test_a_clock_that_goes_back_begins_a_new_course(seconds: float) -> None:
    course = course_of((-100, RUNNING, 20), (0, RUNNING, 30))
    assert course.seen(RUNNING, 31, at(seconds)) == Course().seen(RUNNING, 31, at(seconds))


@EACH_SECOND_LOOK
def test_a_refresh_of_ten_minutes_takes_four_calls(second_look: float) -> None:
    assert len(looks_at(JobPlan(running_seconds=TEN_MINUTES), second_look)) == 4


@EACH_SECOND_LOOK
def test_a_refresh_of_ten_minutes_is_seen_to_end_within_half_an_interval(second_look: float) -> None:
    assert looks_at(JobPlan(running_seconds=TEN_MINUTES), second_look)[-1] - TEN_MINUTES <= 30


@EACH_SECOND_LOOK
def test_a_refresh_of_an_hour_takes_nine_calls(second_look: float) -> None:
    assert len(looks_at(JobPlan(running_seconds=ONE_HOUR), second_look)) == 9


@EACH_SECOND_LOOK
@EACH_QUEUE
def test_a_refresh_of_ten_minutes_after_a_queue_takes_six_calls_at_most(queued: float, second_look: float) -> None:
    assert len(looks_at(JobPlan(queued_seconds=queued, running_seconds=TEN_MINUTES), second_look)) <= 6


@EACH_SECOND_LOOK
@EACH_QUEUE
def test_a_refresh_of_an_hour_after_a_queue_takes_twelve_calls_at_most(queued: float, second_look: float) -> None:
    assert len(looks_at(JobPlan(queued_seconds=queued, running_seconds=ONE_HOUR), second_look)) <= 12


@EACH_SECOND_LOOK
@EACH_QUEUE
@pytest.mark.parametrize("running", [TEN_MINUTES, ONE_HOUR], ids=["10 min", "1 h"])
def test_the_end_of_a_steady_refresh_is_seen_within_an_interval(
    running: float, queued: float, second_look: float
) -> None:
    plan = JobPlan(queued_seconds=queued, running_seconds=running)
    assert looks_at(plan, second_look)[-1] - queued - running <= 60


@EACH_SECOND_LOOK
@pytest.mark.parametrize("step", [5, 10])
def test_the_end_of_a_refresh_that_shows_its_progress_in_steps_is_seen_within_an_interval_and_a_half(
    step: int, second_look: float
) -> None:
    assert looks_at(JobPlan(running_seconds=ONE_HOUR), second_look, step)[-1] - ONE_HOUR <= 90


PROGRESSES = st.none() | st.integers(0, 100) | st.floats(0, 100)
MOMENTS = (st.floats(-10, 20_000) | st.floats(-1e9, 1e9)).map(at)
ANSWERS = st.lists(st.tuples(st.sampled_from(RefreshState), PROGRESSES, MOMENTS), max_size=12)
ANSWERS_IN_ORDER = ANSWERS.map(lambda answers: sorted(answers, key=lambda answer: answer[2]))


def course_from(answers: list[tuple[RefreshState, float | None, DateTime]]) -> Course:
    course = Course()
    for state, progress, moment in answers:
        course = course.seen(state, progress, moment)
    return course


@given(
    answers=ANSWERS | ANSWERS_IN_ORDER,
    interval=st.floats(0.01, 2000),
    longest=st.none() | st.floats(0.01, 5000),
    later=st.none() | MOMENTS,
)
def test_an_adaptive_delay_is_within_its_bounds_whatever_the_looks_show(
    answers: list[Any], interval: float, longest: float | None, later: DateTime | None
) -> None:
    cadence = Cadence(interval_seconds=interval, max_interval_seconds=longest, adaptive=True)
    assert interval <= cadence.after(len(answers), course_from(answers), later) <= max(interval, longest or 600)


@given(ANSWERS | ANSWERS_IN_ORDER)
def test_what_may_be_the_earliest_end_is_not_after_the_latest(answers: list[Any]) -> None:
    course = course_from(answers)
    assert course.earliest is None or course.latest is None or course.earliest <= course.latest


@given(ANSWERS | ANSWERS_IN_ORDER)
def test_a_course_survives_its_way_through_json(answers: list[Any]) -> None:
    course = course_from(answers)
    assert Course.read(json.loads(json.dumps(course.to_dict()))) == course


@given(ANSWERS_IN_ORDER)
def test_a_course_that_went_through_json_is_continued_as_if_it_had_not(answers: list[Any]) -> None:
    course = Course()
    for state, progress, moment in answers:
        course = Course.read(course.to_dict()).seen(state, progress, moment)
    assert course == course_from(answers)


FULL = course_of((0, QUEUED, None), (75, RUNNING, 8), (262, RUNNING, 38.5))


def test_a_course_carries_every_field() -> None:
    assert set(FULL.to_dict()) == {field.name for field in fields(Course)}


def test_the_moments_of_a_course_travel_as_text() -> None:
    assert FULL.to_dict()["last"] == {"at": "2026-11-22T10:04:22+00:00", "progress": 38.5}


def test_the_moments_of_a_course_that_was_read_are_aware() -> None:
    seen_at = Course.read(FULL.to_dict() | {"seen_at": "2026-11-22T10:00:00"}).seen_at
    assert isinstance(seen_at, DateTime)
    assert seen_at.utcoffset() is not None


def test_values_of_a_newer_version_are_left_out() -> None:
    assert Course.read(FULL.to_dict() | {"from_the_future": {"a": 1}}) == FULL


def test_values_that_an_older_version_did_not_have_take_their_defaults() -> None:
    assert Course.read({"seen_at": NOW.isoformat()}) == Course(seen_at=NOW)


@pytest.mark.parametrize("data", [None, "course", 7, ["seen_at"], {}], ids=str)
def test_what_is_no_course_is_an_empty_one(data: Any) -> None:
    assert Course.read(data) == Course()


@pytest.mark.parametrize(
    "wrong",
    [
        {"seen_at": 1795341600},
        {"seen_at": "yesterday"},
        {"since": []},
        {"is_running": "yes"},
        {"step": "1"},
        {"step": True},
        {"rises": 1.5},
        {"last": "38"},
        {"last": {}},
        {"last": {"at": None, "progress": 38}},
        {"last": {"at": NOW.isoformat(), "progress": "38"}},
        {"last": {"at": NOW.isoformat(), "progress": True}},
        {"last": {"at": NOW.isoformat(), "progress": math.nan}},
        {"base": {"at": NOW.isoformat(), "progress": 101}},
    ],
    ids=str,
)
def test_a_course_with_a_wrong_value_is_an_empty_one(wrong: dict[str, Any]) -> None:
    assert Course.read(FULL.to_dict() | wrong) == Course()


MARKS = st.fixed_dictionaries({"at": MOMENTS.map(DateTime.isoformat), "progress": st.floats(0, 100)})
VALUES = {
    "seen_at": MOMENTS.map(DateTime.isoformat),
    "since": MOMENTS.map(DateTime.isoformat),
    "is_running": st.booleans(),
    "began_after": MOMENTS.map(DateTime.isoformat),
    "base": MARKS,
    "last": MARKS,
    "earliest": MOMENTS.map(DateTime.isoformat),
    "latest": MOMENTS.map(DateTime.isoformat),
    "step": st.integers(),
    "rises": st.integers(),
}


@example(
    data={"is_running": True, "began_after": NOW.isoformat()},
    answers=[(RefreshState.IN_PROGRESS, 1e-70, NOW.subtract(seconds=1))],
)
@given(
    data=st.fixed_dictionaries({}, optional={name: st.none() | values for name, values in VALUES.items()}),
    answers=ANSWERS,
)
def test_no_course_that_can_be_read_leads_out_of_the_bounds(data: dict[str, Any], answers: list[Any]) -> None:
    course = Course.read(data)
    for state, progress, moment in answers:
        assert 60 <= ADAPTIVE.after(1, course) <= 600
        course = course.seen(state, progress, moment)
