# SPDX-License-Identifier: Apache-2.0
"""
Waiting for all contracts of a batch at once, in an event loop.

Each contract is waited for by the rules of a single wait, and the poller decides whose turn it is. What concerns the
account and not one contract ends the whole batch: ten thousand calls with a refused key would cost millions of units.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable, Sequence

import pendulum

from airflow_provider_alchemy.api.batch_allowance import BatchAllowance
from airflow_provider_alchemy.api.batch_log import BatchLog, QuietLog
from airflow_provider_alchemy.api.batch_queue import BatchQueue, DueLook
from airflow_provider_alchemy.api.batches import BatchRecord
from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.endpoints import REINGEST_CONTRACT
from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyConfigurationError,
    AlchemyConnectionError,
    AlchemyDeadlineError,
    AlchemyEndpointGoneError,
    AlchemyError,
    AlchemyExecutionDeadlineError,
    AlchemyHostNotFoundError,
    AlchemyNetworkError,
    AlchemyQuotaError,
    AlchemySpendingLimitError,
)
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.api.models import RefreshState
from airflow_provider_alchemy.api.polling import CONNECTIONS, RefreshPoller
from airflow_provider_alchemy.api.records import WaitRecord, read_moment
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES, RefreshWait

STOPPING = (
    AlchemyAuthenticationError,
    AlchemyConfigurationError,
    AlchemyEndpointGoneError,
    AlchemyNetworkError,
    AlchemyQuotaError,
    AlchemySpendingLimitError,
)
"""What concerns the account or the connection."""

_LOOKS = 4 * CONNECTIONS
"""How many contracts the poller is asked about at once: it always has some to choose from."""

_SLICE = 500
"""How many contracts fail before the event loop's other work gets its turn: some milliseconds."""


class BatchRun:
    """
    One run of a batch: all its contracts that have not ended.

    :param poller: Polls for the batch, and for others.
    :param addresses: The batch's contracts.
    :param record: What is known of them, and the deadlines; it is kept up to date.
    :param cadence: How often to look at each.
    :param log: Where to say what happens.
    :param max_consecutive_failures: Looks in a row at one contract that may fail; None: any number.
    :param max_resubmits: How often a refresh that could not be queued is submitted again.
    :param max_compute_units: What the batch may spend; None: any amount.
    :param on_change: Is told when the record has changed.
    """

    def __init__(
        self,
        poller: RefreshPoller,
        addresses: Sequence[str],
        record: BatchRecord,
        *,
        cadence: Cadence,
        log: Log,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_resubmits: int = 0,
        max_compute_units: int | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.record = record
        self.subject = record.describe(poller.settings.source)
        self._poller = poller
        self._addresses = addresses
        self._cadence = cadence
        self._log = BatchLog(record, self.subject, log)
        self._quiet_log = QuietLog(log)
        self._max_consecutive_failures = max_consecutive_failures
        self._max_resubmits = max_resubmits
        self._max_compute_units = max_compute_units
        self._on_change = on_change
        self._allowance = BatchAllowance(record, max_compute_units)
        # As text, because Python's garbage collector does not walk through it: the objects of ten thousand waits
        # would make it hold up the event loop for tenths of a second.
        self._seen: dict[int, str] = {}
        self._looks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(_LOOKS)
        self._sooner = asyncio.Event()
        self._left = 0
        self._stopped_by: AlchemyError | None = None
        self._broken_by: BaseException | None = None
        # A host that has answered is no unknown network.
        self._was_answered = bool(record.finished or record.running)

    async def run(self) -> AlchemyError | None:
        """
        Wait until every contract has ended, or the batch cannot go on.

        :return: What stopped the batch; None: every contract has ended. How, is in the record.
        """
        pending = self.record.not_ended()
        self._left = len(pending)
        is_overdue = False
        try:
            try:
                async with asyncio.timeout(self._seconds_left()):
                    await self._look_on(BatchQueue(pending, asyncio.get_running_loop().time()))
            except TimeoutError:
                is_overdue = True
            await self._last_answers()
        finally:
            await self._end()
        if self._broken_by is not None:
            raise self._broken_by
        if is_overdue:
            await self._give_up()
        return self._explained(self._stopped_by)

    async def _look_on(self, queue: BatchQueue) -> None:
        loop = asyncio.get_running_loop()
        while self._left and self._stopped_by is None and self._broken_by is None:
            self._sooner.clear()
            await self._room.acquire()
            due = queue.take(loop.time())
            if due is not None:
                look = asyncio.create_task(self._look(due, queue))
                self._looks.add(look)
                look.add_done_callback(self._looked)
                continue
            self._room.release()
            alarm = None if math.isinf(queue.next_due_at()) else loop.call_at(queue.next_due_at(), self._sooner.set)
            try:
                await self._sooner.wait()
            finally:
                if alarm is not None:
                    alarm.cancel()

    def _looked(self, look: asyncio.Task[None]) -> None:
        self._looks.discard(look)
        self._room.release()
        self._sooner.set()
        if not look.cancelled() and look.exception() is not None:
            self._broken_by = look.exception()

    async def _look(self, due: DueLook, queue: BatchQueue) -> None:
        wait = self._wait_for(due.position)
        try:
            delay = await self._ask(wait, due)
        except STOPPING as error:
            self._stop(error)
        except AlchemyError as error:
            self._failed(due.position, error)
        else:
            if delay is not None:
                self._seen[due.position] = json.dumps(wait.record.to_dict())
                now = asyncio.get_running_loop().time()
                queue.add(due.position, now + delay, wait.head_start_seconds(delay))
                return
            self.record.finish(due.position, already_finished=wait.record.already_finished)
            self._ended(due.position)

    async def _ask(self, wait: RefreshWait, due: DueLook) -> float | None:
        with wait.look() as look:
            try:
                look.status = await self._poller.next_status(
                    wait.record.contract_address,
                    delay_seconds=due.due_at - asyncio.get_running_loop().time(),
                    usage=look.usage,
                    head_start_seconds=due.due_at - due.rank,
                    spending_limit=self._allowance,
                )
            except AlchemyHostNotFoundError as error:
                if not self._was_answered:
                    raise
                # The name service is in trouble, also for a contract whose first answer is still to come.
                raise AlchemyConnectionError(error.what, subject=error.subject) from None
            if not wait.was_answered:
                self._was_answered = True
                self.record.running.add(due.position)
                self._on_change()
        return look.delay_seconds

    def _wait_for(self, position: int) -> RefreshWait:
        seen = self._seen.get(position)
        record = WaitRecord.read(json.loads(seen)) if seen else None
        record = record or self._first_record(position)
        return RefreshWait(
            record,
            subject=record.describe(self._poller.settings.source),
            cadence=self._cadence,
            log=self._quiet_log,
            max_consecutive_failures=self._max_consecutive_failures,
            max_resubmits=self._max_resubmits,
            submits=True,
        )

    def _first_record(self, position: int) -> WaitRecord:
        batch = self.record
        return WaitRecord(
            contract_address=self._addresses[position],
            network=batch.network,
            # An earlier process has had an answer: what comes now is not the first.
            state=RefreshState.UNKNOWN.value if position in batch.running else None,
            deadline=batch.deadline,
            execution_deadline=batch.execution_deadline,
        )

    def _failed(self, position: int, error: AlchemyError) -> None:
        self.record.fail(position, error)
        self._log.failed(self._addresses[position], error)
        self._ended(position)

    def _ended(self, position: int) -> None:
        self._left -= 1
        self._seen.pop(position, None)
        self.record.finished_at = pendulum.now("UTC").isoformat()
        self._on_change()
        self._log.ended()

    def _stop(self, error: AlchemyError) -> None:
        self._stopped_by = self._stopped_by or error
        self._allowance.close()

    def _explained(self, error: AlchemyError | None) -> AlchemyError | None:
        """Say of the spending limit how far the batch was in the end: the poller knows one of its contracts."""
        if not isinstance(error, AlchemySpendingLimitError):
            return error
        record = self.record
        msg = (
            f"{record.contracts - record.ended:,} of the refreshes had not ended when the task had spent "
            f"{record.compute_units:,} compute units: one more poll costs {REINGEST_CONTRACT.compute_units}, and "
            f"max_compute_units is {self._max_compute_units}"
        )
        return AlchemySpendingLimitError(msg, subject=self.subject)

    def _seconds_left(self) -> float | None:
        """Tell how long the batch may take: to its deadline, and as long as the last looks may take then."""
        deadlines = [read_moment(text) for text in (self.record.deadline, self.record.execution_deadline)]
        seconds = [(moment - pendulum.now("UTC")).total_seconds() for moment in deadlines if moment is not None]
        return max(min(seconds), 0.0) + self._poller.settings.timeout if seconds else None

    async def _give_up(self) -> None:
        """Let the contracts fail for which the throughput left no room at the end."""
        deadline, execution_deadline = map(read_moment, (self.record.deadline, self.record.execution_deadline))
        is_execution = execution_deadline is not None and (deadline is None or execution_deadline < deadline)
        kind = AlchemyExecutionDeadlineError if is_execution else AlchemyDeadlineError
        msg = f"the refresh had not ended when the task's {kind.limit} was over, and there was no room for a last poll"
        error = kind(msg, subject=self.subject)
        for position in self.record.not_ended():
            self._failed(position, error)
            if position % _SLICE == 0:
                await asyncio.sleep(0)

    async def _last_answers(self) -> None:
        """Let nothing more be asked, and wait for what is: it is billed, and need not be asked again."""
        self._allowance.close()
        await self._allowance.all_answered.wait()
        # An answer is told right after its call has ended, in the same step of the loop: its look is next.
        await asyncio.sleep(0)

    async def _end(self) -> None:
        looks = list(self._looks)
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
