# SPDX-License-Identifier: Apache-2.0
"""
How long to wait between two polls: steadily, ever longer, or until the end that the progress so far lets expect.

Each poll is billed, and a refresh reports its progress, so most polls but the last can be left out.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import datetime

from airflow_provider_alchemy.defaults import DEFAULT_MAX_INTERVAL_SECONDS

_COMPLETE = 100
_SEGMENT = 10  # percentage points from which one segment of the progress is enough to estimate from
_RISES_THAT_SHOW_A_STEP = 3
_QUEUED_SHARE = 0.2  # of the time in the queue
_FAR_SHARE = 0.2  # of the time to an end that is far from certain
_STALLED_SHARE = 0.1  # of the time without new progress
_REACH = 2.5  # an estimate is trusted for so many times as long as the refresh was watched

_random = random.Random()  # noqa: S311 - spreads load, guards nothing


@dataclass(frozen=True, slots=True)
class Mark:
    """A progress in percent, and when a poll showed it."""

    at: datetime
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What the polls have shown of a refresh, enough to estimate its end."""

    polled_at: datetime  # the last answered poll
    since: datetime  # the first poll that showed what the last one did: the queue, or a refresh that runs
    is_running: bool  # which of the two
    idle_at: datetime | None = None  # the last poll before it ran; None: it ran at the first poll
    base: Mark | None = None  # where the estimate begins
    last: Mark | None = None  # the newest progress
    changed_at: datetime | None = None  # the poll at which the progress rose last
    step: int = _SEGMENT  # what each progress was a multiple of, in percentage points
    rises: int = 0  # how often the progress rose

    def ends_in(self, at: datetime) -> tuple[float, float] | None:
        """Estimate in how many seconds the refresh ends, at the earliest and at the latest; None: no telling."""
        if self.base is None or self.last is None:
            return None
        passed, left = (at - self.last.at).total_seconds(), _COMPLETE - self.last.percent
        if self.base != self.last:
            gain = max(self.last.percent - self.base.percent, 0)
            # Each percentage is cut, by up to a step, so the gain and what is left may be a step less or more.
            step = max(self.step, 1) if self.rises >= _RISES_THAT_SHOW_A_STEP else 1
            seconds = (self.last.at - self.base.at).total_seconds()
            earliest = max(left - step, 0) * seconds / (gain + step)
            latest = left * seconds / (gain - step) if gain > step else math.inf
        elif self.idle_at is not None and self.last.percent > 0:
            # It may have begun at any time since the last idle poll.
            earliest, latest = 0.0, left * (self.last.at - self.idle_at).total_seconds() / self.last.percent
        else:
            return None
        return max(earliest - passed, 0.0), max(latest - passed, 0.0)


def progress_after(earlier: Progress | None, at: datetime, percent: float | None, *, is_queued: bool) -> Progress:
    if earlier is not None and at <= earlier.polled_at:
        earlier = None  # a clock was set back: times before and after do not compare
    if is_queued and not percent:
        since = at if earlier is None or earlier.is_running else earlier.since
        return Progress(polled_at=at, since=since, is_running=False)
    idle_at = None if earlier is None else earlier.polled_at
    if (
        earlier is None
        or not earlier.is_running
        or (percent is not None and earlier.last is not None and percent < earlier.last.percent)
    ):
        earlier = Progress(polled_at=at, since=at, is_running=True, idle_at=idle_at)
    base, last, changed_at = earlier.base, earlier.last, earlier.changed_at
    step, rises = earlier.step, earlier.rises
    if percent is not None:
        mark = Mark(at, percent)
        if last is None:
            base, changed_at = mark, at
        elif percent > last.percent:
            # From the newest segment alone where it is long enough: a refresh becomes slower or faster.
            base, changed_at = (last if percent - last.percent >= _SEGMENT * 2 else base), at
            rises += 1
        last = mark
        step = math.gcd(step, int(percent)) if percent == int(percent) else 1
    return Progress(
        polled_at=at,
        since=earlier.since,
        is_running=True,
        idle_at=earlier.idle_at,
        base=base,
        last=last,
        changed_at=changed_at,
        step=max(step, 1),
        rises=rises,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """How often a wait polls."""

    seconds: float = 60.0  # seconds between two polls, at least that many where ``adaptive``
    max_seconds: float | None = None  # where adaptive (default ten minutes) or exponential (default: any)
    adaptive: bool = False  # whether to follow the progress; not together with ``exponential``
    exponential: bool = False  # whether to double from poll to poll, as a sensor's ``exponential_backoff`` does

    def after(self, rounds: int, progress: Progress | None = None, at: datetime | None = None) -> float:
        """Give the seconds to wait after a poll of this number, from 1, at a time."""
        if self.exponential:
            # The growth and spread of BaseSensorOperator: half the interval first, doubled, plus up to as much.
            least = max(self.seconds * 2.0 ** (min(rounds, 64) - 2), 1.0)
            delay = least + _random.uniform(0, least)
            return min(delay, self.max_seconds) if self.max_seconds else delay
        if not self.adaptive or progress is None:
            return self.seconds
        longest = max(self.max_seconds or DEFAULT_MAX_INTERVAL_SECONDS, self.seconds)
        return min(max(_adaptive_seconds(progress, at or progress.polled_at, self.seconds), self.seconds), longest)


def _adaptive_seconds(progress: Progress, at: datetime, interval_seconds: float) -> float:
    watched_seconds = (at - progress.since).total_seconds()
    if not progress.is_running:
        return _QUEUED_SHARE * watched_seconds
    if progress.idle_at is not None:
        watched_seconds = (at - progress.idle_at).total_seconds()
    stalled_seconds = _STALLED_SHARE * (at - (progress.changed_at or progress.since)).total_seconds()
    earliest, latest = progress.ends_in(at) or (0.0, 0.0)
    # A poll just before the end costs another interval. So the last one goes to the latest end, once that is known to
    # an interval; those before it leave room for it.
    far = _FAR_SHARE * latest if latest < math.inf else 0.0
    due = latest if latest - earliest <= interval_seconds else max(earliest - interval_seconds, far)
    return max(min(due, _REACH * watched_seconds), stalled_seconds)
