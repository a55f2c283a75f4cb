# SPDX-License-Identifier: Apache-2.0
"""When a wait polls again: steadily, ever more rarely, or by what the polls have shown of the refresh's progress."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.waits.interval import Interval, Mark, Progress, progress_after

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
ADAPTIVE = Interval(seconds=60, max_seconds=600, adaptive=True)
EXPONENTIAL = Interval(seconds=60, exponential=True)
TEN_MINUTES, ONE_HOUR = 600, 3600

QUEUED, RUNNING = True, False
Poll = tuple[float, bool, float | None]
"""When it was made, in seconds; whether the refresh was queued; its progress."""


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def seen(*polls: Poll, earlier: Progress | None = None) -> Progress:
    for seconds, is_queued, percent in polls:
        earlier = progress_after(earlier, at(seconds), percent, is_queued=is_queued)
    assert earlier is not None
    return earlier


def delay_after(*polls: Poll, interval: Interval = ADAPTIVE, later: float | None = None) -> float:
    return interval.after(len(polls), seen(*polls), None if later is None else at(later))


def end_after(*polls: Poll) -> tuple[float, float] | None:
    """Give between which seconds the end is expected."""
    ends_in = seen(*polls).ends_in(at(polls[-1][0]))
    return ends_in and (polls[-1][0] + ends_in[0], polls[-1][0] + ends_in[1])


def linear(queued: float, running: float, seconds: float, step: int = 1) -> Poll:
    """Poll a refresh whose progress rises steadily and is cut to whole steps."""
    if seconds < queued:
        return seconds, QUEUED, None
    return seconds, RUNNING, int(100 * (seconds - queued) / running) // step * step


def polls_of(running: float, second_poll: float, queued: float = 0, step: int = 1) -> list[float]:
    """Wait for such a refresh; give the seconds of all polls."""
    progress, polls = None, [0.0]
    while polls[-1] < queued + running:
        progress = seen(linear(queued, running, polls[-1], step), earlier=progress)
        polls.append(second_poll if len(polls) == 1 else polls[-1] + ADAPTIVE.after(len(polls), progress))
    return polls


class TestSteady:
    def test_it_is_the_default_and_does_not_mind_the_progress(self) -> None:
        assert Interval() == Interval(seconds=60)
        assert [Interval(seconds=7).after(rounds, None) for rounds in (1, 2, 50)] == [7, 7, 7]
        assert delay_after((0, RUNNING, 0), (75, RUNNING, 2), interval=Interval(seconds=60)) == 60


class TestExponential:
    @given(rounds=st.integers(1, 10**6), seconds=st.floats(1, 600), longest=st.none() | st.floats(1, 5000))
    def test_it_doubles_with_a_spread_up_to_its_longest(
        self, rounds: int, seconds: float, longest: float | None
    ) -> None:
        least = max(seconds * 2.0 ** (min(rounds, 64) - 2), 1.0)
        delay = Interval(seconds=seconds, exponential=True, max_seconds=longest).after(rounds)

        assert min(least, longest or math.inf) <= delay <= min(2 * least, longest or math.inf) < math.inf

    @given(st.integers(1, 60))
    def test_it_never_shrinks(self, rounds: int) -> None:
        assert EXPONENTIAL.after(rounds + 1) >= EXPONENTIAL.after(rounds)

    def test_it_wins_over_adaptive_and_has_no_longest_of_its_own(self) -> None:
        both, progress = replace(EXPONENTIAL, adaptive=True), seen((0, RUNNING, 0), (75, RUNNING, 12))

        assert 480 <= both.after(5, progress) <= 960
        assert both.after(20, progress) > 600


class TestAdaptive:
    @pytest.mark.parametrize(
        ("polls", "seconds"),
        [
            pytest.param([(0, QUEUED, None)], 60, id="the first interval is the shortest"),
            pytest.param([(0, QUEUED, None), (1000, QUEUED, None)], 200, id="a fifth of the time in the queue"),
            pytest.param([(0, QUEUED, None), (1000, RUNNING, 50), (2000, QUEUED, None)], 60, id="queued again"),
            pytest.param([(0, QUEUED, None), (1000, RUNNING, None), (2000, RUNNING, None)], 100, id="no progress"),
            pytest.param([(0, QUEUED, None), (36_000, QUEUED, None)], 600, id="ten minutes at most"),
            pytest.param([(0, RUNNING, 0), (100, RUNNING, 1)], 250, id="no further than the refresh was watched"),
            pytest.param([(0, RUNNING, 0), (300, RUNNING, 50), (590, RUNNING, 99)], 60, id="at its end"),
            pytest.param(
                [(0, RUNNING, 0), (300, RUNNING, 50), (500, RUNNING, 100), (560, RUNNING, 100)], 60, id="at 100 %"
            ),
            pytest.param(
                [(0, RUNNING, 0), *((float(at), RUNNING, 100) for at in range(600, 3601, 300))], 300, id="stuck at 100"
            ),
        ],
    )
    def test_it_is(self, polls: list[Poll], seconds: float) -> None:
        assert delay_after(*polls) == pytest.approx(seconds)

    def test_without_an_answer_it_is_the_shortest(self) -> None:
        assert ADAPTIVE.after(1) == 60

    @pytest.mark.parametrize(("longest", "seconds"), [(None, 600), (300, 300)])
    def test_its_longest_is_ten_minutes_by_default(self, longest: float | None, seconds: float) -> None:
        polls = [(0, QUEUED, None), (36_000, QUEUED, None)]

        assert delay_after(*polls, interval=replace(ADAPTIVE, max_seconds=longest)) == seconds
        assert delay_after(*polls, interval=replace(ADAPTIVE, seconds=900, max_seconds=longest)) == 900

    def test_a_refresh_that_shows_progress_runs_whatever_its_state_is_called(self) -> None:
        assert seen((0, QUEUED, None), (60, QUEUED, 5)) == seen((0, QUEUED, None), (60, RUNNING, 5))


class TestTheExpectedEnd:
    @pytest.mark.parametrize(
        "polls",
        [
            pytest.param([(0, QUEUED, None)], id="queue"),
            pytest.param([(0, RUNNING, None), (600, RUNNING, None)], id="no progress"),
            pytest.param([(0, RUNNING, 5)], id="one progress"),
        ],
    )
    def test_there_is_none_where_nothing_tells_of_it(self, polls: list[Poll]) -> None:
        assert end_after(*polls) is None

    @given(
        queued=st.floats(0, 500),
        running=st.floats(60, 20_000),
        parts=st.lists(st.floats(0, 1, exclude_max=True), min_size=2, max_size=12, unique=True),
        step=st.sampled_from([1, 5, 10]),
    )
    def test_the_end_of_a_steady_refresh_is_within_what_is_expected(
        self, queued: float, running: float, parts: list[float], step: int
    ) -> None:
        polls = [linear(queued, running, part * (queued + running), step) for part in sorted(parts)]
        # A step is only known after some rises; before it, progress in steps may mislead by one.
        found = end_after(*polls) if step == 1 or seen(*polls).rises >= 3 else None

        assert found is None or found[0] - 0.01 <= queued + running <= found[1] + 0.01

    def test_progress_that_stands_still_tells_how_slow_it_is_at_least(self) -> None:
        assert end_after((0, RUNNING, 5), (60, RUNNING, 5)) == (60 + 94 * 60, math.inf)

    def test_one_progress_after_the_queue_bounds_it(self) -> None:
        assert end_after((0, QUEUED, None), (60, RUNNING, 10)) == pytest.approx((60, 600))

    def test_each_poll_leaves_less_of_what_is_possible(self) -> None:
        ends = [
            end_after(*(linear(0, 3600, seconds) for seconds in (0, 1000, 2000, last))) or (0, 0)
            for last in (2500, 3000)
        ]

        assert ends[1][1] - ends[1][0] < ends[0][1] - ends[0][0]

    def test_a_refresh_that_becomes_slower_is_estimated_from_its_newest_segment(self) -> None:
        slower = seen((0, RUNNING, 0), (300, RUNNING, 50), (400, RUNNING, 57), (1000, RUNNING, 80))

        assert slower.base == Mark(at(400), 57)

    def test_short_segments_keep_the_beginning(self) -> None:
        assert seen((0, RUNNING, 0), (200, RUNNING, 19), (350, RUNNING, 33)).base == Mark(NOW, 0)


class TestTheLastPoll:
    POLLS: tuple[Poll, ...] = ((0, RUNNING, 0), (75, RUNNING, 12), (263, RUNNING, 43))

    def test_it_goes_to_the_latest_end(self) -> None:
        end = end_after(*self.POLLS)
        assert end is not None

        assert 263 + delay_after(*self.POLLS) == pytest.approx(end[1])

    def test_one_that_finds_out_more_leaves_an_interval_for_it(self) -> None:
        polls = [linear(0, 5400, seconds) for seconds in (0, 1000, 2700)]
        end = end_after(*polls)
        assert end is not None
        assert end[1] - end[0] > 60

        assert 2700 + delay_after(*polls, interval=replace(ADAPTIVE, max_seconds=10_000)) == pytest.approx(end[0] - 60)

    def test_a_poll_without_progress_or_answer_does_not_put_it_off(self) -> None:
        expected = 263 + delay_after(*self.POLLS)

        assert 300 + delay_after(*self.POLLS, (300, RUNNING, None)) == pytest.approx(expected)
        assert 300 + delay_after(*self.POLLS, later=300) == pytest.approx(expected)

    def test_one_that_failed_is_made_again_after_the_shortest_interval(self) -> None:
        assert delay_after(*self.POLLS, later=700) == 60


class TestARefreshThatBeginsAnew:
    @pytest.mark.parametrize("seconds", [-0.5, 0, -3600], ids=["a little", "not at all", "much"])
    def test_a_clock_that_was_set_back_leaves_only_the_newest_poll(self, seconds: float) -> None:
        before = seen((-100, RUNNING, 20), (0, RUNNING, 30))

        assert seen((seconds, RUNNING, 31), earlier=before) == seen((seconds, RUNNING, 31))

    def test_progress_that_goes_back_began_after_the_poll_before(self) -> None:
        again = seen((0, RUNNING, 5), (300, RUNNING, 55), (360, RUNNING, 10))

        assert again == seen((300, QUEUED, None), (360, RUNNING, 10))


EACH_SECOND_POLL = pytest.mark.parametrize("second_poll", [60, 61.7, 70, 75, 82.5, 90])


class TestWhatItCosts:
    """Calls, and how late the end is seen, for refreshes of ten minutes and of an hour with a steady progress."""

    @EACH_SECOND_POLL
    @pytest.mark.parametrize(("running", "calls"), [(TEN_MINUTES, 4), (ONE_HOUR, 9)])
    def test_without_a_queue(self, running: float, calls: int, second_poll: float) -> None:
        polls = polls_of(running, second_poll)

        assert len(polls) == calls
        assert polls[-1] - running <= 60

    @EACH_SECOND_POLL
    @pytest.mark.parametrize("queued", [5, 33, 59, 61, 90, 120])
    @pytest.mark.parametrize(("running", "most"), [(TEN_MINUTES, 6), (ONE_HOUR, 12)])
    def test_after_a_queue(self, running: float, most: int, queued: float, second_poll: float) -> None:
        polls = polls_of(running, second_poll, queued)

        assert len(polls) <= most
        assert polls[-1] - queued - running <= 60

    @EACH_SECOND_POLL
    @pytest.mark.parametrize("step", [5, 10])
    def test_with_progress_in_steps_the_end_is_seen_within_two_intervals(self, step: int, second_poll: float) -> None:
        assert polls_of(ONE_HOUR, second_poll, step=step)[-1] - ONE_HOUR <= 120


PERCENTS = st.none() | st.integers(0, 100) | st.floats(0, 100)
SECONDS = st.floats(-10, 20_000) | st.floats(-1e9, 1e9)
POLLS = st.lists(st.tuples(SECONDS, st.booleans(), PERCENTS), min_size=1, max_size=12)
POLLS_IN_ORDER = POLLS.map(lambda polls: sorted(polls, key=lambda poll: poll[0]))


@given(
    polls=POLLS | POLLS_IN_ORDER,
    seconds=st.floats(0.01, 2000),
    longest=st.none() | st.floats(0.01, 5000),
    later=st.none() | SECONDS,
)
def test_an_adaptive_delay_is_within_its_bounds_whatever_the_polls_show(
    polls: list[Poll], seconds: float, longest: float | None, later: float | None
) -> None:
    interval = Interval(seconds=seconds, max_seconds=longest, adaptive=True)

    assert seconds <= delay_after(*polls, interval=interval, later=later) <= max(seconds, longest or 600)


@given(POLLS_IN_ORDER)
def test_the_earliest_end_is_not_after_the_latest(polls: list[Poll]) -> None:
    found = end_after(*polls)

    assert found is None or found[0] <= found[1]


MOMENTS = SECONDS.map(at)
MARKS = st.builds(Mark, at=MOMENTS, percent=st.floats(0, 100))
PROGRESSES = st.builds(
    Progress,
    polled_at=MOMENTS,
    since=MOMENTS,
    is_running=st.booleans(),
    idle_at=st.none() | MOMENTS,
    base=st.none() | MARKS,
    last=st.none() | MARKS,
    changed_at=st.none() | MOMENTS,
    step=st.integers(),
    rises=st.integers(),
)


@given(progress=PROGRESSES, polls=POLLS)
def test_no_progress_that_another_process_left_leads_out_of_the_bounds(progress: Progress, polls: list[Poll]) -> None:
    for poll in polls:
        assert 60 <= ADAPTIVE.after(1, progress) <= 600
        progress = seen(poll, earlier=progress)
