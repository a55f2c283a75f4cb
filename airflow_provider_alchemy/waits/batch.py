# SPDX-License-Identifier: Apache-2.0
"""
The wait for the refreshes of many contracts in one task.

Each contract is waited for by the rules of a single wait. What concerns the account and not one contract ends the whole
batch: ten thousand calls with a refused key would cost millions of units.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from airflow_provider_alchemy.api.errors import (
    PERMANENT_REASONS,
    AlchemyAuthenticationError,
    AlchemyConfigurationError,
    AlchemyConnectionError,
    AlchemyContractsFailedError,
    AlchemyDeadlineError,
    AlchemyEndpointGoneError,
    AlchemyError,
    AlchemyExecutionDeadlineError,
    AlchemyHostNotFoundError,
    AlchemyNetworkError,
    AlchemyQueueFailedError,
    AlchemyQuotaError,
    AlchemySpendingLimitError,
)
from airflow_provider_alchemy.api.inputs import allowed_failures
from airflow_provider_alchemy.api.logs import Log, plural
from airflow_provider_alchemy.api.models import RefreshState
from airflow_provider_alchemy.api.packing import pack_ids, unpack_ids
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.defaults import DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.waits.interval import Interval
from airflow_provider_alchemy.waits.poller import CONNECTIONS, Poller
from airflow_provider_alchemy.waits.reingest import ReingestGoal, ReingestState
from airflow_provider_alchemy.waits.wait import Wait, WaitState, check_positions, isoformat

MAX_IN_FLIGHT = 1_000
"""Contracts that are waited for at once."""

SAVED_SHARE = 1 / 10
MIN_SAVED = 10
SAVED_SECONDS = 15 * 60.0
"""After so many ends, or so long, the batch reports its progress to a worker, which saves it: a killed triggerer loses
no more. Each report costs a worker start, more than to ask about a few contracts again."""

LOGGED_FAILURES = 20
"""Failures of contracts that get a line of their own."""

NAMED_FAILURES = 5
"""How many contracts an error names; all of them are in the task's result."""

_STOPPING = (
    AlchemyAuthenticationError,
    AlchemyConfigurationError,
    AlchemyEndpointGoneError,
    AlchemyNetworkError,
    AlchemyQuotaError,
    AlchemySpendingLimitError,
)
"""What concerns the account or the connection."""

_STILL_RUNNING = frozenset({AlchemyDeadlineError.reason, AlchemyExecutionDeadlineError.reason})


@dataclass(slots=True, kw_only=True)
class BatchState(WaitState):
    """What was seen of a batch; its contracts are positions in its list, packed."""

    contract_address: str = ""
    contracts: int  # how many contracts there are
    digest: str  # which list the positions mean
    duplicates: int = 0  # how many more were named in the list
    already_finished: int = 0  # how many were finished at their very first answer, perhaps by an earlier refresh
    finished: str = ""  # which have finished
    failed: dict[str, str] = field(default_factory=dict)  # which have failed, by reason
    running: str = ""  # which are known to run at Alchemy: their next answer is not their first

    def check(self) -> None:
        check_positions((self.finished, self.running, *self.failed.values()), self.contracts)

    def describe(self, source: str) -> str:
        return f"Batch of {plural(self.contracts, 'contract')} on {self.network} ({source})"


class Batch:
    """The contracts of a batch and how each of them ended."""

    def __init__(self, state: BatchState, addresses: Sequence[str]) -> None:
        self.state = state
        self.addresses = addresses
        self.finished = set(unpack_ids(state.finished))
        self.failed = {reason: set(unpack_ids(packed)) for reason, packed in state.failed.items()}
        self.running = set(unpack_ids(state.running))

    @property
    def failures(self) -> int:
        return sum(map(len, self.failed.values()))

    @property
    def ended(self) -> int:
        return len(self.finished) + self.failures

    def pending(self) -> list[int]:
        ended = self.finished.union(*self.failed.values())
        return [position for position in range(self.state.contracts) if position not in ended]

    def finish(self, position: int, *, already_finished: bool) -> None:
        self.running.discard(position)
        self.finished.add(position)
        self.state.already_finished += already_finished
        self.state.finished_at = datetime.now(UTC)

    def fail(self, position: int, error: AlchemyError) -> None:
        reason = error.reason
        if reason == AlchemyQueueFailedError.reason or reason in PERMANENT_REASONS:
            self.running.discard(position)
        self.failed.setdefault(reason, set()).add(position)
        self.state.finished_at = datetime.now(UTC)

    def pack(self) -> BatchState:
        state = self.state
        state.finished, state.running = pack_ids(sorted(self.finished)), pack_ids(sorted(self.running))
        state.failed = {reason: pack_ids(sorted(found)) for reason, found in self.failed.items()}
        return state

    def begin_new_try(self) -> None:
        """Ask again about the contracts whose failure another try may change."""
        self.failed = {reason: found for reason, found in self.failed.items() if reason in PERMANENT_REASONS}
        self.state.begin_new_try()

    def describe(self) -> str:
        state = self.state
        return (
            f"{self.ended:,} of {state.contracts:,} ended ({len(self.finished):,} finished, {self.failures:,} failed), "
            f"{plural(state.polls, 'poll')}, {state.cost}"
        )

    def summary(self) -> str:
        now = datetime.now(UTC)
        return f"{self.describe()}, after {(now - (self.state.started_at or now)).total_seconds():,.1f} s"

    def result(self, stopped_by: AlchemyError | None = None) -> dict[str, Any]:
        """What the task reslots; contracts that have not ended failed for what stopped the batch."""
        state = self.state
        failed = {reason: set(found) for reason, found in self.failed.items() if found}
        if stopped_by is not None and (pending := self.pending()):
            failed.setdefault(stopped_by.reason, set()).update(pending)
        return {
            "network": state.network,
            "counts": {
                "contracts": state.contracts,
                "finished": len(self.finished),
                "failed": sum(map(len, failed.values())),
                "already_finished": state.already_finished,
                "duplicates": state.duplicates,
            },
            "finished": [self.addresses[position] for position in sorted(self.finished)],
            "failed": {reason: [self.addresses[at] for at in sorted(failed[reason])] for reason in sorted(failed)},
            "polls": state.polls,
            "compute_units": state.compute_units,
            "usd": state.usd,
            "submitted_at": isoformat(state.submitted_at),
            "finished_at": isoformat(state.finished_at),
        }

    def error(self, max_failed: float, subject: str) -> AlchemyError | None:
        """Why the task fails; permanent where so many have failed permanently that no retry can help."""
        allowed = allowed_failures(max_failed, self.state.contracts)
        if self.failures <= allowed:
            return None
        counts = {reason: len(self.failed[reason]) for reason in sorted(self.failed) if self.failed[reason]}
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in counts.items())
        positions = sorted(set().union(*self.failed.values()))
        named = ", ".join(self.addresses[position] for position in positions[:NAMED_FAILURES])
        more = f" and {len(positions) - NAMED_FAILURES:,} more" if len(positions) > NAMED_FAILURES else ""
        what = (
            f"{self.failures:,} of {self.state.contracts:,} contracts failed ({reasons}), and max_failed allows "
            f"{allowed:,}: {named}{more}"
        )
        if counts.keys() <= _STILL_RUNNING:
            error_type = (
                AlchemyDeadlineError if AlchemyDeadlineError.reason in counts else AlchemyExecutionDeadlineError
            )
            advice = "The refreshes go on at Alchemy: raise the limit, or clear the task to join them again"
            return error_type(what, subject=subject, advice=advice)
        is_permanent = sum(count for reason, count in counts.items() if reason in PERMANENT_REASONS) > allowed
        return AlchemyContractsFailedError(what, subject=subject, is_permanent=is_permanent)


class _ContractGoal(ReingestGoal):
    """The goal of one contract: what it costs counts for the batch, and a batch that stops makes no more calls."""

    is_calling = False

    def __init__(self, state: ReingestState, batch: BatchWait, position: int) -> None:
        super().__init__(state)
        self._batch = batch
        self._position = position

    async def poll(self, api: Poller, usage: Usage, limit: SpendingLimit, wait: Wait) -> None:  # noqa: ARG002
        async with self._batch.slots:
            self.is_calling = True
            try:
                await super().poll(api, usage, self._batch.limit, wait)
            except AlchemyHostNotFoundError as error:
                # A host that has answered about any contract is no unknown network.
                if not self._batch.was_answered:
                    raise
                raise AlchemyConnectionError(error.what) from None
            finally:
                self.is_calling = False
                self._batch.state.add(usage)
        self._batch.accept_answer(self._position)


class BatchWait:
    """The wait for all contracts of a batch that have not ended."""

    def __init__(
        self,
        batch: Batch,
        *,
        source: str,
        interval: Interval,
        log: Log,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_resubmits: int = 0,
        max_compute_units: int | None = None,
    ) -> None:
        self.batch = batch
        self.state = state = batch.state
        self.subject = state.describe(source)
        self.was_answered = bool(batch.finished or batch.running)
        self.limit = SpendingLimit(None if max_compute_units is None else max_compute_units - state.compute_units)
        self._source = source
        self._interval = interval
        self._log = log
        self._max_consecutive_failures = max_consecutive_failures
        self._max_resubmits = max_resubmits
        self._max_compute_units = max_compute_units
        # One call under way until the service has answered one: a key that is refused is not tried by all contracts.
        self.slots = asyncio.Semaphore(1)
        self._is_accepted = False
        self._goals: dict[asyncio.Task[None], _ContractGoal] = {}
        self._is_stopping = False
        self._error: Exception | None = None

    async def run(self, api: Poller) -> bool:
        """Wait until every contract has ended, which gives True, or it is time to save the progress."""
        self.state.usd_per_million_units = api.settings.usd_per_million_units
        loop = asyncio.get_running_loop()
        ended, until = self.batch.ended, loop.time() + SAVED_SECONDS
        enough = ended + max(math.ceil(self.state.contracts * SAVED_SHARE), MIN_SAVED)
        pending = iter(self.batch.pending())
        try:
            while True:
                while not self._is_stopping and len(self._goals) < MAX_IN_FLIGHT:
                    position = next(pending, None)
                    if position is None:
                        break
                    self._start(api, position)
                if not self._goals:
                    break
                timeout = None if self._is_stopping else max(until - loop.time(), 0.0)
                done, _ = await asyncio.wait(self._goals, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    del self._goals[task]
                if self.batch.ended >= enough or loop.time() >= until:
                    self._stop()
        finally:
            for task in self._goals:
                task.cancel()
            await asyncio.gather(*self._goals, return_exceptions=True)
        if self._error is not None:
            raise self._explained(self._error)
        return self.batch.ended == self.state.contracts

    def accept_answer(self, position: int) -> None:
        self.batch.running.add(position)
        self.was_answered = True
        if not self._is_accepted:
            self._is_accepted = True
            for _ in range(CONNECTIONS - 1):
                self.slots.release()

    def _start(self, api: Poller, position: int) -> None:
        state = ReingestState(
            contract_address=self.batch.addresses[position],
            network=self.state.network,
            # An earlier process had an answer: the next one is not the first.
            status=RefreshState.UNKNOWN.value if position in self.batch.running else None,
            deadline=self.state.deadline,
            execution_deadline=self.state.execution_deadline,
            max_resubmits=self._max_resubmits,
        )
        goal = _ContractGoal(state, self, position)
        self._goals[asyncio.create_task(self._wait_for(goal, position, api))] = goal

    async def _wait_for(self, goal: _ContractGoal, position: int, api: Poller) -> None:
        wait = Wait(
            goal,
            source=self._source,
            interval=self._interval,
            log=_DebugLog(self._log),
            max_consecutive_failures=self._max_consecutive_failures,
        )
        try:
            if goal.state.status is None:
                # A contract whose slot comes after the deadline is not submitted any more.
                wait.check_deadlines()
            if await wait.run(api, leaves=lambda: self._is_stopping) is None:
                self.batch.finish(position, already_finished=goal.state.already_finished)
        except _STOPPING as error:
            self._stop(error)
        except AlchemyError as error:
            self.batch.fail(position, error)
            self._log_failure(position, error)
        except Exception as error:  # noqa: BLE001 - a bug ends the batch instead of one contract in silence
            self._stop(error)

    def _stop(self, error: Exception | None = None) -> None:
        """Let calls that are under way end, since they are billed, and make no more."""
        self._is_stopping = True
        self._error = self._error or error
        for task, goal in self._goals.items():
            if not goal.is_calling and task is not asyncio.current_task():
                task.cancel()

    def _explained(self, error: Exception) -> Exception:
        if not isinstance(error, AlchemySpendingLimitError):
            return error
        msg = (
            f"{self.state.contracts - self.batch.ended:,} of the refreshes had not ended when the task had spent "
            f"{self.state.compute_units:,} compute units: one more poll costs {ReingestGoal.poll_cost}, and "
            f"max_compute_units is {self._max_compute_units:,}"
        )
        return AlchemySpendingLimitError(msg, subject=self.subject)

    def _log_failure(self, position: int, error: AlchemyError) -> None:
        failures = self.batch.failures
        if failures <= LOGGED_FAILURES:
            words = "%s failed (%s): %s"
            self._log.warning(words, self.batch.addresses[position], error.reason, error.what)
        if failures == LOGGED_FAILURES:
            self._log.warning("Further failures are not logged: the task's XCom 'failed' lists all of them")


class _DebugLog:
    """The log of one wait of thousands: all of it is a detail."""

    __slots__ = ("debug", "info", "warning")

    def __init__(self, log: Log) -> None:
        self.debug = self.info = self.warning = log.debug
