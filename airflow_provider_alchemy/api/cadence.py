# SPDX-License-Identifier: Apache-2.0
"""
How often a wait looks at its refresh: steadily, ever more rarely, or when its end can be expected. No I/O.

Each look is a paid call, and a refresh says how far it is. So a wait that reads the progress can leave out nearly
every look but the last. What the looks have shown travels as a course; the cadence tells the next look from it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import pendulum
from pendulum import DateTime

from airflow_provider_alchemy.api.models import RefreshState

DEFAULT_MAX_INTERVAL_SECONDS = 600.0
"""The longest interval of an adaptive cadence: so late, at most, a refresh is seen that leaps to its end."""

_COMPLETE = 100
_COARSEST_STEP = 10
_RISES_THAT_SHOW_A_STEP = 3  # of two values that move in steps of 1, both are multiples of 5 every 25th time
_REACH = 2.5  # for how many times as long as it was seen a course is trusted
_SHARE = 0.2  # how late a look may come, of the time in the queue or of the longest that may remain
_BLIND_SHARE = 0.1  # the same, of the time without a sign of the end
_FAR_SECONDS = 30 * 86400.0  # an end beyond it is no forecast, and may be beyond the calendar
_NOT_RUNNING = frozenset({RefreshState.QUEUED, RefreshState.ALREADY_QUEUED, RefreshState.QUEUE_FAILED})

_random = random.Random()  # noqa: S311 - spreads load, guards nothing


@dataclass(frozen=True, slots=True)
class Mark:
    """
    A progress that was seen.

    :param at: When.
    :param progress: Percent. It is cut to whole steps: the truth lies up to one step above it.
    """

    at: DateTime
    progress: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """
    What the looks have shown of a refresh's course, enough to extrapolate its end.

    :param seen_at: The last look.
    :param since: The first look that showed what the last one did: the queue, or a refresh that runs.
    :param is_running: Which of the two.
    :param began_after: The last look before it ran.
    :param base: Where the line begins on which the progress moves.
    :param last: The newest progress.
    :param earliest: The earliest end that fits the looks.
    :param latest: The latest end that fits them; None: no telling.
    :param step: What each progress is a multiple of, in percent.
    :param rises: How often the progress rose.
    """

    seen_at: DateTime | None = None
    since: DateTime | None = None
    is_running: bool = False
    began_after: DateTime | None = None
    base: Mark | None = None
    last: Mark | None = None
    earliest: DateTime | None = None
    latest: DateTime | None = None
    step: int = _COARSEST_STEP
    rises: int = 0

    @classmethod
    def read(cls, data: Any) -> Course:
        """
        Rebuild a course.

        :param data: What ``to_dict`` gave, perhaps of another version of this package.
        :return: The course, without values that this version does not know; an empty one where a value is wrong:
            a few calls are lost with it, no more.
        """
        if not isinstance(data, dict):
            return cls()
        try:
            known = [field for field in fields(cls) if field.name in data]
            return cls(**{field.name: _READERS[field.type](data[field.name]) for field in known})
        except (KeyError, TypeError, ValueError):
            return cls()

    def to_dict(self) -> dict[str, Any]:
        """Give the course as JSON values."""
        return {field.name: _written(getattr(self, field.name)) for field in fields(self)}

    def expected_end(self) -> DateTime | None:
        """
        Extrapolate the end.

        :return: The middle of all ends that fit the looks; None while there is no telling.
        """
        if self.earliest is None or self.latest is None:
            return None
        return _moment((self.earliest.timestamp() + self.latest.timestamp()) / 2)

    def seen(self, state: RefreshState, progress: float | None, at: DateTime) -> Course:
        """
        Take one answered look.

        :param state: The state that it showed; one that nobody knows is taken as a refresh that runs.
        :param progress: The progress that it showed, None where it showed none.
        :param at: When it was.
        :return: The course with it.
        """
        if self.seen_at is not None and at <= self.seen_at:
            # A clock was set back, or another machine's is behind: moments before and after do not compare.
            return Course().seen(state, progress, at)
        if state in _NOT_RUNNING and not progress:
            return Course(seen_at=at, since=at if self.is_running else self.since or at)
        course = self if self.is_running else Course(since=at, is_running=True, began_after=self.seen_at)
        course = replace(course, seen_at=at)
        return course if progress is None else _extrapolated(course, Mark(at, progress))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """
    How often a wait looks.

    :param interval_seconds: Seconds between two looks; the least there are where the cadence is adaptive.
    :param exponential: Whether the interval doubles from look to look, as a sensor's ``exponential_backoff``.
    :param max_interval_seconds: The longest interval. None: no limit where the cadence is exponential, and
        ``DEFAULT_MAX_INTERVAL_SECONDS`` where it is adaptive; no less than ``interval_seconds`` there.
    :param adaptive: Whether the interval follows the refresh's course; not where the cadence is exponential.
    """

    interval_seconds: float = 60.0
    exponential: bool = False
    max_interval_seconds: float | None = None
    adaptive: bool = False

    def after(self, looks: int, course: Course, at: DateTime | None = None) -> float:
        """
        Tell how long to wait after a look.

        :param looks: Looks so far, from 1.
        :param course: What they have shown.
        :param at: When the last one was. Default: when it was answered; a look that failed has to say.
        :return: Seconds.
        """
        if self.exponential:
            return self._exponential(looks)
        at = at or course.seen_at
        if not self.adaptive or at is None:
            return self.interval_seconds
        longest = max(self.max_interval_seconds or DEFAULT_MAX_INTERVAL_SECONDS, self.interval_seconds)
        return min(max(self._adaptive(course, at.timestamp(), longest), self.interval_seconds), longest)

    def _exponential(self, looks: int) -> float:
        # The same growth and spread as BaseSensorOperator: half the interval first, then doubled, plus up to as much.
        least = max(self.interval_seconds * 2.0 ** (min(looks, 64) - 2), 1.0)
        delay = least + _random.uniform(0, least)
        return min(delay, self.max_interval_seconds) if self.max_interval_seconds else delay

    def _adaptive(self, course: Course, now: float, longest: float) -> float:
        # A look just before the end is a call for nothing and costs a whole further interval. So the last look goes
        # to the latest end that fits, once that is known to an interval: then it is late by half an interval or less.
        if course.base is None or course.last is None:
            return (_BLIND_SHARE if course.is_running else _SHARE) * (now - _seconds(course.since, now))
        is_first = course.base.at == course.last.at
        seen_for = now - _seconds(course.began_after if is_first else None, course.base.at.timestamp())
        stands_still = course.base.progress == course.last.progress and not is_first
        reach = min(seen_for if stands_still else _REACH * seen_for, longest)
        earliest, latest = _seconds(course.earliest, now) - now, _seconds(course.latest) - now
        if latest - earliest <= self.interval_seconds and latest <= reach:
            return latest
        # The looks before it find out more: an interval before the end at the latest, to leave room for the last one.
        share = _SHARE * latest if latest < math.inf else _BLIND_SHARE * seen_for
        return min(max(earliest - self.interval_seconds, share), reach)


def _extrapolated(course: Course, mark: Mark) -> Course:
    """Give a course with one more mark."""
    last = course.last
    if last is not None and mark.progress < last.progress:  # the refresh began again
        course, last = Course(seen_at=mark.at, since=mark.at, is_running=True), None
    base = course.base or mark
    step = math.gcd(course.step, int(mark.progress)) if mark.progress == int(mark.progress) else 1
    rises = course.rises + (mark.progress > (last.progress if last else 0))
    if last is None:
        earliest, latest = _ends_of_one(course.began_after, mark)
    else:
        known_step = _known_step(step, rises)
        earliest, latest = _ends_of_two(base, mark, known_step)
        if known_step <= _known_step(course.step, course.rises):
            # Each look leaves less of what is possible, in the end less than a step.
            earliest = max(earliest, _seconds(course.earliest, -math.inf))
            latest = min(latest, _seconds(course.latest))
        if earliest > latest:
            # Nothing is left: the line was bent since the mark before, so a new one begins there.
            base = last
            earliest, latest = _ends_of_two(base, mark, known_step)
    far = mark.at.timestamp() + _FAR_SECONDS
    return replace(
        course,
        base=base,
        last=mark,
        earliest=_moment(min(earliest, far)),
        latest=_moment(latest) if latest < far else None,
        step=step,
        rises=rises,
    )


def _known_step(step: int, rises: int) -> int:
    return max(step, 1) if rises >= _RISES_THAT_SHOW_A_STEP else 1


def _ends_of_one(began_after: DateTime | None, mark: Mark) -> tuple[float, float]:
    """Tell when a refresh ends that began after the last look at the queue, perhaps just before the mark."""
    at = mark.at.timestamp()
    if began_after is None or not mark.progress:
        return at, math.inf
    return at, at + (_COMPLETE - mark.progress) * _passed(began_after, mark.at) / mark.progress


def _ends_of_two(base: Mark, mark: Mark, step: int) -> tuple[float, float]:
    """Tell when a line through two marks comes to its end, each of them up to a step too low."""
    at, gain, left = mark.at.timestamp(), max(mark.progress - base.progress, 0), _COMPLETE - mark.progress
    seconds = _passed(base.at, mark.at)
    latest = at + left * seconds / (gain - step) if gain > step else math.inf
    return at + max(left - step, 0) * seconds / (gain + step), latest


def _passed(earlier: DateTime, later: DateTime) -> float:
    """Tell the seconds between two looks; none where the clock was set back: a refresh that runs has not ended yet."""
    return max(later.timestamp() - earlier.timestamp(), 0.0)


def _seconds(moment: DateTime | None, otherwise: float = math.inf) -> float:
    return otherwise if moment is None else moment.timestamp()


def _moment(seconds: float) -> DateTime:
    return DateTime.fromtimestamp(seconds, pendulum.UTC)


def _written(value: Any) -> Any:
    if isinstance(value, Mark):
        return {"at": value.at.isoformat(), "progress": value.progress}
    return value.isoformat() if isinstance(value, DateTime) else value


def _read_moment(value: Any) -> DateTime | None:
    return None if value is None else pendulum.instance(datetime.fromisoformat(value))


def _read_mark(value: Any) -> Mark | None:
    if value is None:
        return None
    at, progress = _read_moment(value["at"]), value["progress"]
    if at is None or isinstance(progress, bool) or not 0 <= progress <= _COMPLETE:
        raise ValueError(value)
    return Mark(at, progress)


def _exactly(kind: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(value)
        return value

    return read


# By the type of the field, so that a field more needs no more than its line.
_READERS: dict[Any, Callable[[Any], Any]] = {
    "DateTime | None": _read_moment,
    "Mark | None": _read_mark,
    "bool": _exactly(bool),
    "int": _exactly(int),
}
