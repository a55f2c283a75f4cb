# SPDX-License-Identifier: Apache-2.0
"""The wait for the end of a collection's refresh (``reingestContract``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from airflow_provider_alchemy.api.endpoints import REINGEST_CONTRACT
from airflow_provider_alchemy.api.errors import AlchemyNoSuchCollectionError, AlchemyQueueFailedError
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.models import RefreshState, RefreshStatus
from airflow_provider_alchemy.api.throttle import backoff_seconds
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.waits.interval import Interval, Progress, progress_after
from airflow_provider_alchemy.waits.poller import Contract, Poller
from airflow_provider_alchemy.waits.wait import LOGGED_PROGRESS_STEP, Goal, Wait, WaitState

RESULT_KEYS = (
    "contract_address",
    "network",
    "state",
    "progress",
    "already_finished",
    "submitted_at",
    "finished_at",
    "polls",
    "compute_units",
    "usd",
)
"""The keys of what operator and sensor return."""

_COMPLETE = 100
FAILED = frozenset({RefreshState.DOES_NOT_EXIST, RefreshState.QUEUE_FAILED})
_QUEUED = frozenset({RefreshState.QUEUED, RefreshState.ALREADY_QUEUED, RefreshState.QUEUE_FAILED})


@dataclass(slots=True, kw_only=True)
class ReingestState(WaitState):
    """What was seen of a refresh."""

    reported_state: str = ""  # the last state's text as it came, which matters where it is unknown
    logged_state: str = ""  # the state that the log named last
    percent: int | float | None = None  # the last progress
    progress: Progress | None = None  # what the polls have shown of it, to estimate the end
    already_finished: bool = False  # finished at the very first answer: then it may be an earlier refresh's
    queue_failures: int = 0  # how often the answer was ``queue_failed``
    max_resubmits: int = 0  # how often the refresh is submitted again then

    def check(self) -> None:
        marks = (self.progress.base, self.progress.last) if self.progress else ()
        if any(mark is not None and not 0 <= mark.percent <= _COMPLETE for mark in marks):
            msg = "the progress is no percentage"
            raise ValueError(msg)


class ReingestGoal(Goal[ReingestState]):
    """The refresh has ended well."""

    state_type = ReingestState
    poll_cost: ClassVar[int] = REINGEST_CONTRACT.compute_units

    _contract: Contract | None = None
    _seen_answers = 0

    async def poll(self, api: Poller, usage: Usage, limit: SpendingLimit, wait: Wait) -> None:
        """Submit, join and report: one call has all three meanings."""
        contract = self._contract_of(api)
        status = contract.answer if contract.answers > self._seen_answers else None
        if status is None:
            # A submission is worth all attempts. After it the wait itself is the retry, since each attempt is billed.
            attempts = 1 if self.is_accepted() else api.settings.max_attempts
            status = await contract.poll(usage, limit, max_attempts=attempts, deadline=wait.call_deadline)
        self._seen_answers = contract.answers
        self._apply(status)

    def is_done(self) -> bool:
        state = self.state
        if state.status == RefreshState.DOES_NOT_EXIST:
            msg = "Alchemy answered does_not_exist"
            raise AlchemyNoSuchCollectionError(msg)
        if state.status == RefreshState.QUEUE_FAILED and state.queue_failures > state.max_resubmits:
            times = f", also after {state.max_resubmits} more submissions" if state.max_resubmits else ""
            msg = f"Alchemy could not queue the refresh (queue_failed){times}"
            raise AlchemyQueueFailedError(msg)
        return state.status == RefreshState.FINISHED

    def milestone(self) -> Any:
        """Whether the refresh was submitted, how often, and how it ended."""
        return self.is_accepted(), self.state.queue_failures, self.state.status in {RefreshState.FINISHED, *FAILED}

    def is_accepted(self) -> bool:
        return self.state.status not in {None, RefreshState.QUEUE_FAILED}

    def first_delay_seconds(self, interval: Interval, *, at_once: bool) -> float:
        """Submit at once, because a refresh that begins late ends late; else poll when it is due, and not together."""
        state = self.state
        if state.status == RefreshState.QUEUE_FAILED:
            return self.delay_seconds(interval)
        if at_once or state.status is None:
            return 0.0
        delay = super().first_delay_seconds(interval, at_once=False)
        if not interval.adaptive or not state.rounds:
            return delay
        return interval.after(state.rounds, state.progress, datetime.now(UTC)) + delay / 2

    def delay_seconds(self, interval: Interval) -> float:
        state = self.state
        if state.status == RefreshState.QUEUE_FAILED:
            return backoff_seconds(state.queue_failures)
        at = datetime.now(UTC) if state.failures else None
        return interval.after(state.rounds, state.progress, at)

    async def sleep(self, api: Poller, seconds: float, max_seconds: float) -> None:
        await self._contract_of(api).sleep(seconds, max_seconds)

    def describe(self) -> str:
        progress = "" if self.state.percent is None else f" ({self.state.percent:g} %)"
        return f"the refresh was still {self.state.status or 'without an answer'}{progress}"

    def summary(self) -> str:
        return self.state.status or "no answer"

    def log_progress(self, log: Log, subject: str) -> None:
        state = self.state
        percent = state.percent or 0
        shown = "" if state.percent is None else f", {state.percent:g} %"
        logged_state = state.reported_state if state.status == RefreshState.UNKNOWN else state.status or ""
        is_new = logged_state != state.logged_state
        if is_new and state.status == RefreshState.UNKNOWN:
            words = "%s: unknown state %r, taken as pending until the deadline"
            log.warning(words, subject, state.reported_state)
        if is_new or percent >= state.logged_progress + LOGGED_PROGRESS_STEP:
            state.logged_state, state.logged_progress = logged_state, percent
            log.info("%s: %s%s", subject, state.status, shown)
        else:
            log.debug("%s: %s%s", subject, state.status, shown)
        if state.status == RefreshState.QUEUE_FAILED and state.queue_failures <= state.max_resubmits:
            words = "%s: Alchemy could not queue the refresh (queue_failed); submitting it again (%d of %d)"
            log.warning(words, subject, state.queue_failures, state.max_resubmits)
        if state.already_finished:
            words = "%s: finished at the first answer: perhaps by a refresh that began earlier (already_finished)"
            log.info(words, subject)

    def result(self) -> dict[str, Any]:
        state = self.state
        values = {**state.result(), "progress": state.percent, "already_finished": state.already_finished}
        return {name: values[name] for name in RESULT_KEYS}

    def _contract_of(self, api: Poller) -> Contract:
        if self._contract is None:
            self._contract = api.contract(self.state.contract_address)
            self._seen_answers = self._contract.answers
        return self._contract

    def _apply(self, status: RefreshStatus) -> None:
        state, now = self.state, datetime.now(UTC)
        state.already_finished = status.is_finished and state.status is None
        state.network = status.network
        state.status, state.percent = status.state.value, status.progress
        state.reported_state = status.reported_state
        state.queue_failures += status.state is RefreshState.QUEUE_FAILED
        # An answer that another wait for the same contract asked for is this one's submission too.
        state.submitted_at = state.submitted_at or now
        if status.is_finished:
            state.finished_at = now
        is_queued = status.state in _QUEUED
        state.progress = progress_after(state.progress, now, status.progress, is_queued=is_queued)
