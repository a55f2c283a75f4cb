# SPDX-License-Identifier: Apache-2.0
"""
How to wait: the only rules for deadlines, spending limits, failures in a row and intervals.

A feature says in a ``Goal`` what it asks and when it is content; ``Wait`` does the rest, alike in a worker, between two
reschedules and in the triggerer. What a wait knows is a ``WaitState``, which travels between these processes as JSON.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from airflow_provider_alchemy.api.errors import (
    AlchemyDeadlineError,
    AlchemyError,
    AlchemyExecutionDeadlineError,
    AlchemyHostNotFoundError,
    AlchemyRateLimitError,
    AlchemySpendingLimitError,
    AlchemyTimeoutError,
    ErrorKind,
)
from airflow_provider_alchemy.api.logs import Log, plural
from airflow_provider_alchemy.api.packing import unpack_ids
from airflow_provider_alchemy.api.throttle import backoff_seconds
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage, describe_cost, usd_of
from airflow_provider_alchemy.defaults import DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.waits.interval import Interval

if TYPE_CHECKING:
    from airflow_provider_alchemy.waits.poller import Poller

LOGGED_PROGRESS_STEP = 10
FINISHED = "finished"

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_random = random.Random()  # noqa: S311 - spreads load, guards nothing


@dataclass(slots=True, kw_only=True)
class WaitState:
    """What a wait has seen and spent so far."""

    contract_address: str  # the collection's contract, in lower case
    network: str = ""  # the network's slug; empty until the connection was read
    started_at: datetime | None = None  # when the wait began
    deadline: datetime | None = None  # when it gives up. A moment, not a duration, so that no restart moves it
    execution_deadline: datetime | None = None  # when execution_timeout is over; None: never, or each poke has its own
    submitted_at: datetime | None = None  # when the service was first asked
    finished_at: datetime | None = None  # when the first answer came that ended the wait well
    status: str | None = None  # what the service last said; None until it has answered
    polls: int = 0  # requests made
    compute_units: int = 0  # units billed for them
    usd_per_million_units: float = 0.0  # the connection's price; 0: it names none
    rounds: int = 0  # polls in this try, however many requests each took
    failures: int = 0  # polls in a row that failed
    logged_progress: float = 0  # the progress that the log named last, in percent

    @property
    def usd(self) -> float | None:
        """What it has cost in US dollars; None where the connection names no price."""
        return usd_of(self.compute_units, self.usd_per_million_units)

    @property
    def cost(self) -> str:
        """What it has cost, for people."""
        return describe_cost(self.compute_units, self.usd_per_million_units)

    @property
    def ends_at(self) -> datetime | None:
        return min((at for at in (self.deadline, self.execution_deadline) if at is not None), default=None)

    def add(self, usage: Usage) -> None:
        self.polls += usage.calls
        self.compute_units += usage.compute_units
        if self.submitted_at is None:
            self.submitted_at = usage.first_call_at

    def result(self) -> dict[str, Any]:
        """Give what the results of all tasks about one collection have in common."""
        return {
            "contract_address": self.contract_address,
            "network": self.network,
            "state": self.status,
            "progress": None,
            "submitted_at": isoformat(self.submitted_at or self.started_at),
            "finished_at": isoformat(self.finished_at),
            "polls": self.polls,
            "compute_units": self.compute_units,
            "usd": self.usd,
        }

    def set_deadlines(self, timeout_seconds: float, execution_timeout: timedelta | None) -> None:
        """Set when the wait is over, unless an earlier process of the same try did."""
        now = datetime.now(UTC)
        self.started_at = self.started_at or now
        if self.deadline is None:
            self.deadline = self.started_at + timedelta(seconds=timeout_seconds)
            self.execution_deadline = None if execution_timeout is None else now + execution_timeout

    def begin_new_try(self) -> None:
        """Keep what is known of the refresh, and begin the wait for it anew."""
        self.started_at = self.deadline = self.execution_deadline = None
        self.rounds = self.failures = 0

    def end(self) -> None:
        self.status = FINISHED
        self.finished_at = self.finished_at or datetime.now(UTC)

    def check(self) -> None:
        """Raise ValueError where what another process left cannot be right, beyond the types of its fields."""

    def describe(self, source: str) -> str:
        """Name what is waited for: ``Collection 0x… on eth-mainnet (connection 'alchemy_default')``."""
        network = f" on {self.network}" if self.network else ""
        return f"Collection {self.contract_address}{network} ({source})"


S = TypeVar("S", bound=WaitState)
T = TypeVar("T")


def to_json(state: Any, *, is_short: bool = False) -> dict[str, Any]:
    """Give a state as JSON values; a short one leaves out what is as at the beginning."""
    state_type: Any = type(state)
    values: dict[str, Any] = _adapter(state_type).dump_python(state, mode="json", exclude_defaults=is_short)
    return values


def from_json(state_type: Any, data: Any) -> Any:
    """Rebuild a state; None where the data is broken or of something else, so that the wait begins anew."""
    if not isinstance(data, dict):
        return None
    try:
        state = _adapter(state_type).validate_python(data)
        state.check()
    except (ValueError, ArithmeticError):
        return None
    return state if _has_aware_times(state) else None


def check_positions(packed: Iterable[str], total: float) -> None:
    """Raise ValueError where packed texts name positions that a list of so many items does not have."""
    if any(position >= total for text in packed for position in unpack_ids(text)):
        msg = f"the list has only {total:g} items"
        raise ValueError(msg)


def _has_aware_times(value: Any) -> bool:
    if isinstance(value, datetime):
        return value.tzinfo is not None
    if is_dataclass(value):
        return all(_has_aware_times(getattr(value, field.name)) for field in fields(value))
    return True


@cache
def _adapter(state_type: Any) -> Any:
    # A worker that only builds its DAG needs none of it.
    from pydantic import TypeAdapter  # noqa: PLC0415

    return TypeAdapter(state_type)


def in_utc(at: datetime) -> datetime:
    """Give a time of Airflow's, which may be of a class of its own, as a plain one in UTC."""
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    return datetime.fromtimestamp(at.timestamp(), UTC)


def isoformat(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()


class Goal(ABC, Generic[S]):
    """What one feature waits for; it keeps its state up to date."""

    state_type: ClassVar[type[WaitState]]
    deadline_advice: ClassVar[str | None] = None
    spending_advice: ClassVar[str | None] = None
    poll_cost: ClassVar[int]
    """Compute units of the smallest poll."""

    def __init__(self, state: S) -> None:
        self.state = state

    @abstractmethod
    async def poll(self, api: Poller, usage: Usage, limit: SpendingLimit, wait: Wait) -> None:
        """Ask the service, and note in the state what it answered; ``usage`` counts also where this fails."""

    @abstractmethod
    def is_done(self) -> bool:
        """Whether the goal is reached; raises why it can no longer be."""

    @abstractmethod
    def describe(self) -> str:
        """Give how far the wait is, as the beginning of a sentence."""

    @abstractmethod
    def result(self) -> dict[str, Any]:
        """Give what the task returns."""

    def log_progress(self, log: Log, subject: str) -> None:
        """Log what an answered poll brought, where it is worth a line."""

    def summary(self) -> str:
        return f"{'finished' if self.state.status == FINISHED else 'not finished'}, {self.describe()}"

    def is_enough(self) -> bool:
        """Whether what was found makes a good end where the wait would otherwise fail."""
        return False

    def is_accepted(self) -> bool:
        """Whether another process may go on: the triggerer only waits for what a worker has submitted."""
        return True

    def milestone(self) -> Any:
        """Give what a retry of the task must know: the state is saved when it changes, not at each poll."""
        return self.state.submitted_at, self.state.status == FINISHED

    def first_delay_seconds(self, interval: Interval, *, at_once: bool) -> float:
        """Give the time until the first poll: a random part of the interval, so that not all waits poll together."""
        return 0.0 if at_once else _random.uniform(0, interval.seconds)

    def delay_seconds(self, interval: Interval) -> float:
        return interval.after(self.state.rounds)

    def may_wait_out(self, error: AlchemyError) -> bool:  # noqa: ARG002 - some goals cannot go on after some errors
        """Whether another poll can follow one that failed."""
        return True

    async def sleep(self, api: Poller, seconds: float, max_seconds: float) -> None:
        """Sleep until the next poll is due, some tenths of a second later where other waits poll then."""
        await api.sleep(seconds, max_seconds)


class Wait:
    """One wait; without patience the first failure ends it, a 429 included, which else is no failure of the wait."""

    def __init__(
        self,
        goal: Goal[Any],
        *,
        source: str,
        interval: Interval,
        log: Log | None = None,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_compute_units: int | None = None,
        is_patient: bool = True,
    ) -> None:
        self.goal = goal
        self.state: WaitState = goal.state
        self.subject = goal.state.describe(source)
        self.interval = interval
        self.log = log or logging.getLogger(__name__)
        self.max_consecutive_failures = math.inf if max_consecutive_failures is None else max_consecutive_failures
        self.max_compute_units = max_compute_units
        self.is_patient = is_patient
        self.state.started_at = self.state.started_at or datetime.now(UTC)
        ends_at = self.state.ends_at
        self._ends_at = math.inf if ends_at is None else ends_at.timestamp()

    async def run(
        self,
        api: Poller,
        *,
        at_once: bool = False,
        leaves: Callable[[], bool] = lambda: False,
        on_poll: Callable[[], object] = lambda: None,
    ) -> float | None:
        """Poll until the goal is reached (None), or another process makes the next poll (``leaves``), in seconds."""
        # An earlier process may have seen the end and not reported it: another call might start a new refresh.
        if self._has_ended():
            return None
        self.check_spending()
        delay: float | None = self._cut(self.goal.first_delay_seconds(self.interval, at_once=at_once))
        while delay is not None:
            if delay > 0:
                await self.goal.sleep(api, delay, self._cut(math.inf))
            try:
                delay = await self.poll(api)
            finally:
                on_poll()
            if delay is not None and leaves():
                return delay
        return None

    async def poll(self, api: Poller) -> float | None:
        """Poll once, and apply the rules to what came; give the seconds until the next poll, None: done."""
        self.check_spending()
        state, usage = self.state, Usage()
        state.usd_per_million_units = api.settings.usd_per_million_units
        error: AlchemyError | None = None
        try:
            # A last poll is due at the deadline, and may take as long as a call may.
            seconds_left = None if math.isinf(self._ends_at) else self._cut(math.inf) + api.settings.timeout
            async with asyncio.timeout(seconds_left):
                limit = self.max_compute_units
                limit = None if limit is None else limit - state.compute_units
                await self.goal.poll(api, usage, SpendingLimit(limit), self)
        except TimeoutError:
            msg = f"the account's throughput left no room for a poll for {api.settings.timeout:g} seconds"
            error = api.refusal or AlchemyTimeoutError(msg)
        except AlchemyError as failure:
            error = failure
        finally:
            state.add(usage)
            state.rounds += 1
        if error is None:
            state.failures = 0
            self.goal.log_progress(self.log, self.subject)
        try:
            if self._has_ended():
                return None
            if error is not None:
                return self._cut(self._after_failure(error))
            self.check_deadlines()
            self.check_spending()
            return self._cut(self.goal.delay_seconds(self.interval))
        except AlchemyError as failure:
            if not self.goal.is_enough():
                raise
            self.log.warning("%s: ending with what was found: %s", self.subject, failure)
            state.end()
            return None

    def log_summary(self) -> None:
        state = self.state
        since = state.started_at or datetime.now(UTC)
        self.log.info(
            "%s: %s after %.1f s, %s, %s",
            self.subject,
            self.goal.summary(),
            (datetime.now(UTC) - since).total_seconds(),
            plural(state.polls, "poll"),
            state.cost,
        )

    @property
    def call_deadline(self) -> datetime | None:
        """Until when calls wait out that the account is throttled; None: as often as they may fail otherwise."""
        return (self.state.ends_at or _NEVER) if self.is_patient else None

    def check_spending(self, price: int | None = None, what: str = "one more poll costs {price:,}") -> None:
        """Fail where something, a poll by default, would cost more than is left; ``what`` names it and its price."""
        price = self.goal.poll_cost if price is None else price
        spent, limit = self.state.compute_units, self.max_compute_units
        if limit is None or spent + price <= limit:
            return
        msg = (
            f"{self.goal.describe()} when the task had spent {spent:,} compute units: {what.format(price=price)}, and "
            f"max_compute_units is {limit:,}"
        )
        advice = self.goal.spending_advice
        if advice:
            advice = f"Raise max_compute_units to {spent + price:,} at least, or {advice}"
        raise AlchemySpendingLimitError(msg, subject=self.subject, advice=advice)

    def check_deadlines(self, error: AlchemyError | None = None) -> None:
        """Fail where time is over; it comes after a poll, so that each wait polls once more before it gives up."""
        now = time.time()
        if now < self._ends_at:
            return
        deadline = self.state.deadline
        is_timeout = deadline is not None and deadline.timestamp() <= now
        error_type = AlchemyDeadlineError if is_timeout else AlchemyExecutionDeadlineError
        last = f"; the last poll failed: {error.what}" if error else ""
        msg = f"{self.goal.describe()} when the task's {error_type.limit} was over{last}"
        raise error_type(msg, subject=self.subject, advice=self.goal.deadline_advice)

    def _has_ended(self) -> bool:
        try:
            is_done = self.goal.is_done()
        except AlchemyError as error:
            raise error.about(self.subject) from None
        if is_done:
            self.state.end()
        return is_done

    def _after_failure(self, error: AlchemyError) -> float:
        state = self.state
        if isinstance(error, AlchemySpendingLimitError):
            if error.subject is None:
                self.check_spending()  # says more than the client, which knows of one call
            raise error.about(self.subject)
        is_rate_limit = isinstance(error, AlchemyRateLimitError) and self.is_patient
        state.failures += not is_rate_limit
        is_over = not self.is_patient or state.failures > self.max_consecutive_failures
        # A host that answered before is no unknown network: the name service is in trouble.
        is_trouble = isinstance(error, AlchemyHostNotFoundError) and state.status is not None
        if is_over or not (error.kind is ErrorKind.TRANSIENT or is_trouble):
            raise error.about(self.subject)
        self.check_deadlines(error)
        delay = backoff_seconds(max(state.failures, 1), error.retry_after_seconds)
        # A call gives up before a pause that outlasts the deadline: there the last poll follows.
        if self._cut(delay) == delay and not self.goal.may_wait_out(error):
            raise error.about(self.subject)
        self.check_spending()
        if self.goal.is_accepted():
            # After a submission was accepted the next poll is soon enough.
            delay = max(delay, self.goal.delay_seconds(self.interval))
        words = "Poll failed (%d in a row), trying again in %.1f s: %s"
        self.log.warning(words, state.failures, self._cut(delay), error)
        return delay

    def _cut(self, seconds: float) -> float:
        """Let no sleep outlast the deadlines."""
        return max(min(seconds, self._ends_at - time.time()), 0.0)
