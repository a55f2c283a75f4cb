# SPDX-License-Identifier: Apache-2.0
"""
The refresh of a collection's tokens as a piece of a task's work: begin or go on, run, pause, conclude.

Which task it is a piece of, and where that task spends the pauses, is the task's to say.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pendulum

from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.collection_log import CollectionLog
from airflow_provider_alchemy.api.collection_price import check_price, price_of_rest
from airflow_provider_alchemy.api.collection_record import CollectionRecord, Method
from airflow_provider_alchemy.api.collection_run import CollectionRun
from airflow_provider_alchemy.api.endpoints import describe
from airflow_provider_alchemy.api.errors import AlchemyExecutionDeadlineError, AlchemySpendingLimitError
from airflow_provider_alchemy.api.inputs import TokenList, read_contract_address, read_network
from airflow_provider_alchemy.api.logs import Log
from airflow_provider_alchemy.tasks.event_loop import run_in_thread as run_beside
from airflow_provider_alchemy.api.records import read_moment
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.token_calling import RefreshPlan
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook, count_calls
from airflow_provider_alchemy.hooks.connection import read_connection_id
from airflow_provider_alchemy.tasks.collection_memory import CollectionMemory


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionArguments:
    """
    The rendered arguments of a task that refreshes a collection's tokens; see ``RefreshCollectionOperator``.

    :param contract_address: The collection's contract.
    :param network: The network's slug; None: the connection's.
    :param alchemy_conn_id: The connection.
    :param tokens: The tokens, checked; None: all of the collection.
    :param method: How they are refreshed.
    :param token_attempts: How often a token is tried.
    :param interval_seconds: Seconds between two tries of a token.
    :param max_compute_units: What may be spent; None: any amount.
    :param spent_elsewhere: What of it the task has spent otherwise; it is not part of the record.
    """

    contract_address: Any
    network: Any
    alchemy_conn_id: Any
    tokens: TokenList | None = None
    method: Method = Method.BATCH
    token_attempts: int = 3
    interval_seconds: float = 10.0
    max_compute_units: int | None = None
    spent_elsewhere: int = 0


STOPS_HERE = "The refresh of %s stops here: what was asked for goes on at Alchemy, and a retry asks for the rest"
"""What a task logs that is killed; with the collection."""


def out_of_time(subject: str) -> AlchemyExecutionDeadlineError:
    """
    Give the error of a task whose ``execution_timeout`` is over.

    :param subject: What is refreshed, for people.
    :return: The error.
    """
    msg = "not all tokens were proven fresh when the task's execution_timeout was over"
    advice = "Raise execution_timeout, or retry the task, which goes on with the tokens that are left"
    return AlchemyExecutionDeadlineError(msg, subject=subject, advice=advice)


class CollectionJob:
    """
    Refreshes tokens, from where an earlier process of the task left off.

    :param arguments: What is to be refreshed, and how.
    :param memory: What the task remembers.
    :param log: The task's log.
    :param record: How far an earlier process was; default: what the task remembers.
    :raises AlchemyError: An argument or the connection cannot be right, the contract is no collection, or the refresh
        costs more than the task may spend.
    """

    def __init__(
        self, arguments: CollectionArguments, memory: CollectionMemory, log: Log, record: CollectionRecord | None = None
    ) -> None:
        self._arguments = arguments
        self._memory = memory
        self._given: Sequence[int] | None = None
        digest = ""
        if (tokens := arguments.tokens) is not None:
            self._given, digest = tokens.ids, tokens.digest()
            if tokens.duplicates:
                log.info("%s token ids were named more than once; each is asked for once", f"{tokens.duplicates:,}")
        address = read_contract_address(arguments.contract_address)
        network = None if arguments.network is None else read_network(arguments.network)
        with AlchemyHook(read_connection_id(arguments.alchemy_conn_id), network) as hook:
            self._settings: ClientSettings = hook.get_conn().settings
            self.subject = describe(address, self._settings).replace("collection", "Collection", 1)
            self.log = CollectionLog(log, self.subject)
            wanted = CollectionRecord.begin(address, self._settings.network, arguments.method, digest)
            known = record if record is not None and record.is_about(wanted) else memory.recall_collection(wanted)
            self.record = wanted if known is None else known
            if not self.record.submitted_at:
                self._begin(hook)
            if self.record.next_at > 0 and known is not None:
                # After a pause: the tries that are left were known, and priced, before it.
                return
            price = price_of_rest(self.record)
            spent = self.record.compute_units + arguments.spent_elsewhere
            check_price(price, spent, arguments.max_compute_units, self.subject)
            self.log.say_the_price(self.record, price)

    def _begin(self, hook: AlchemyHook) -> None:
        record, spent, began_at = self.record, Usage(), pendulum.now("UTC").isoformat()
        if self._given is not None:
            record.supply, record.submitted_at = len(self._given), began_at
            return
        try:
            metadata = hook.get_contract_metadata(record.contract_address, usage=spent)
            metadata.check_is_collection(self.subject)
            record.supply, record.submitted_at = metadata.total_supply, began_at
        finally:
            record.polls += spent.calls
            record.compute_units += spent.compute_units
            self._memory.keep_record(record)

    def run(self, patience_seconds: float) -> float | None:
        """
        Refresh tokens until all are settled, or a pause is too long to wait for.

        :param patience_seconds: The longest pause that is spent here; infinity: any.
        :return: Seconds of the pause that is due now; None: all tokens are settled.
        :raises AlchemyError: What concerns all tokens.
        :raises TimeoutError: The record's ``execution_deadline`` is over.
        """
        # What a worker has loaded stays for its life, and the garbage collector would go through all of it again and
        # again, for the answers' sake: a quarter of the time that a call takes here.
        gc.freeze()
        try:
            return run_beside(lambda: self._run(patience_seconds))
        except AlchemySpendingLimitError as error:
            raise self._too_dear(error) from None
        except BaseException:
            # Such as Airflow's time-out: what is known is kept, and the retry asks for the rest.
            self._memory.keep_record(self.record)
            raise
        finally:
            gc.unfreeze()

    def _too_dear(self, error: AlchemySpendingLimitError) -> AlchemySpendingLimitError:
        record = self.record
        msg = (
            f"{record.refreshed:,} of {max(record.supply or 0, record.tokens):,} tokens are proven fresh, for "
            f"{record.compute_units:,} compute units: {error.what}"
        )
        advice = (
            "Raise max_compute_units: another try of the task then asks only for the tokens that are left, and a task "
            "that is cleared begins anew"
        )
        return AlchemySpendingLimitError(msg, subject=self.subject, advice=advice)

    async def _run(self, patience_seconds: float) -> float | None:
        deadline = read_moment(self.record.execution_deadline)
        seconds_left = None if deadline is None else (deadline - pendulum.now("UTC")).total_seconds()
        async with asyncio.timeout(seconds_left):
            return await self._until_done(patience_seconds)

    async def _until_done(self, patience_seconds: float) -> float | None:
        arguments, limit = self._arguments, self._arguments.max_compute_units
        plan = RefreshPlan(
            token_attempts=arguments.token_attempts,
            interval_seconds=arguments.interval_seconds,
            spending_limit=SpendingLimit(
                None if limit is None else limit - self.record.compute_units - arguments.spent_elsewhere
            ),
            keep=self._memory.keep_collection,
            on_call=count_calls,
        )
        async with AsyncAlchemyClient(self._settings) as client:
            while True:
                # A new one after each pause, in which no answer came: the service is not down for that.
                run = CollectionRun(client, self.record, self._given, plan, self.log)
                pause = await run.until_pause()
                if pause is None or pause > patience_seconds:
                    return pause
                await asyncio.sleep(pause)

    def conclude(self) -> CollectionRecord:
        """
        Note the end, and tell of it.

        :return: The refresh as it ended.
        """
        record, now = self.record, pendulum.now("UTC")
        record.finished_at = record.finished_at or now.isoformat()
        self._memory.keep_record(record)
        self.log.say_the_end(record)
        return record
