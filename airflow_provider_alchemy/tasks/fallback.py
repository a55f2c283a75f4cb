# SPDX-License-Identifier: Apache-2.0
"""
The way out where ``reingestContract`` is gone: the same task refreshes the collection's tokens on today's API.

It happens in a worker, wherever the endpoint was missed, and gives the same result. The task remembers that it has
begun, so that no retry pays for asking ``reingestContract`` again.
"""

from __future__ import annotations

import math
from typing import Any

from airflow_provider_alchemy.api.collection_result import error_of, result_of
from airflow_provider_alchemy.api.endpoints import GET_CONTRACT_METADATA, is_gone
from airflow_provider_alchemy.api.errors import (
    AlchemyArgumentError,
    AlchemyError,
    AlchemySpendingLimitError,
    AlchemyTokensFailedError,
    ErrorKind,
)
from airflow_provider_alchemy.api.inputs import read_contract_address
from airflow_provider_alchemy.api.records import RESULT, WaitRecord
from airflow_provider_alchemy.tasks.collection_job import STOPS_HERE, CollectionArguments, CollectionJob, out_of_time
from airflow_provider_alchemy.tasks.collection_memory import CollectionMemory
from airflow_provider_alchemy.tasks.exceptions import airflow_exception, final
from airflow_provider_alchemy.tasks.reingest import ReingestTask

TOKENS = "tokens"
KEY = "alchemy_fallback"

_HINT = 'With fallback="tokens" and wait_for_completion=True this task does it itself'
_UNREAD = "Could not read whether an earlier process of this task has begun to refresh the tokens: %s"
_UNKEPT = "Could not keep that the tokens are refreshed now; a retry would ask reingestContract again: %s"


def read_fallback(fallback: Any, *, wait_for_completion: bool) -> str | None:
    """
    Check what a task is to do where ``reingestContract`` is gone.

    :param fallback: ``tokens``, or None to fail.
    :param wait_for_completion: Whether the task waits for the refresh's end.
    :return: The same.
    :raises AlchemyArgumentError: It is neither, or the task does not wait.
    """
    if fallback is None:
        return None
    if fallback != TOKENS:
        msg = f"argument 'fallback' is {fallback!r}; expected 'tokens' or None"
        raise final(AlchemyArgumentError(msg))
    if not wait_for_completion:
        msg = (
            f"argument 'fallback' is {fallback!r}, and the task does not wait for the end of the refresh: nobody would "
            "prove the tokens"
        )
        raise final(AlchemyArgumentError(msg, advice="Set wait_for_completion=True too, or leave out fallback"))
    return TOKENS


class FallbackMemory(CollectionMemory):
    """
    The memory of one task instance that asked for a collection and had to ask for its tokens.

    :param context: The task's context.
    :param retries: The task's retries.
    :param log: The task's log.
    """

    def recall_failed(self, contract_address: str, network: str | None) -> WaitRecord | None:
        """
        Recall that an earlier process of this task has begun to refresh the tokens.

        :param contract_address: The contract, in lower case.
        :param network: The network's slug; None: the connection's, whichever it was.
        :return: What asking ``reingestContract`` has come to; None where no token was begun, or of another collection.
        """
        stored = self._recall(KEY, _UNREAD)
        record = WaitRecord.read(stored.get("record"))
        if record is None or record.contract_address != contract_address or network not in {None, record.network}:
            return None
        if stored.get("try_number") != self._try_number:
            # Each try has a time of its own.
            record.execution_deadline = None
        return record

    def keep_failed(self, failed: WaitRecord) -> WaitRecord:
        """
        Keep that the tokens are refreshed from now on.

        :param failed: What asking ``reingestContract`` has come to.
        :return: The same, with what it has cost in all tries.
        """
        earlier = self.recall_failed(failed.contract_address, failed.network)
        if earlier is not None and self._recall(KEY, _UNREAD).get("try_number") != self._try_number:
            # The task starts in the triggerer: no trigger can read this, so it has asked in each try.
            failed.polls += earlier.polls
            failed.compute_units += earlier.compute_units
        self._keep(KEY, self._of_this_try(failed.to_dict()), _UNKEPT)
        return failed


class FallbackTask(ReingestTask):
    """A task that looks at a refresh, and that may refresh the tokens where ``reingestContract`` is gone."""

    fallback: str | None
    _refreshes_tokens = False

    def go_on_with_tokens(self, context: Any) -> dict[str, Any] | None:
        """
        Go on with the tokens where an earlier process of this task has begun to refresh them.

        :param context: The task's context.
        :return: What the task returns; None where nothing was begun.
        """
        if self.fallback is None:
            return None
        memory = FallbackMemory(context, self.retries or 0, self.log)
        try:
            failed = memory.recall_failed(read_contract_address(self.contract_address), self.network)
        except AlchemyArgumentError:
            # Who asks reingestContract checks it, and says what is wrong.
            return None
        if failed is None:
            return None
        self.log.warning(
            "%s: an earlier try found reingestContract gone; going on with the tokens one by one (fallback='tokens')",
            self._subject_of(failed),
        )
        return self._refresh_tokens(context, memory, failed)

    def fail(self, error: AlchemyError, wait: Any, context: Any) -> dict[str, Any]:
        """
        Refresh the tokens where that is asked for and ``reingestContract`` is gone; else fail.

        :param error: Why the wait has failed.
        :param record: What was seen; None where nothing was asked.
        :param context: The task's context.
        :return: What the task returns.
        """
        record = None if wait is None else wait.state
        if record is None or not is_gone(error):
            return super().fail(error, wait, context)
        if self.fallback is None:
            error.advice = ". ".join(part.rstrip(".") for part in (error.advice, _HINT) if part)
            return super().fail(error, wait, context)
        subject = self._subject_of(record)
        self.log.warning(
            "%s: reingestContract is gone (%s); its tokens are refreshed one by one now (fallback='tokens')",
            subject,
            error.what,
        )
        memory = FallbackMemory(context, self.retries or 0, self.log)
        failed = memory.keep_failed(record)
        price, limit = GET_CONTRACT_METADATA.compute_units, self.max_compute_units
        if limit is not None and failed.compute_units + price > limit:
            msg = (
                f"the task has spent {failed.compute_units:,} compute units on reingestContract, which is gone; asking "
                f"for the number of its tokens costs {price}, and max_compute_units is {limit:,}"
            )
            raise airflow_exception(self._explained(AlchemySpendingLimitError(msg, subject=subject)), self, context)
        return self._refresh_tokens(context, memory, failed)

    def on_kill(self) -> None:
        """Say what becomes of a refresh whose task is killed."""
        if not self._refreshes_tokens:
            super().on_kill()
            return
        self.log.info(STOPS_HERE, self.contract_address)

    def _refresh_tokens(self, context: Any, memory: FallbackMemory, failed: WaitRecord) -> dict[str, Any]:
        self._refreshes_tokens = True
        error: AlchemyError | None
        arguments = CollectionArguments(
            contract_address=self.contract_address,
            network=self.network,
            alchemy_conn_id=self.alchemy_conn_id,
            max_compute_units=self.max_compute_units,
            spent_elsewhere=failed.compute_units,
        )
        try:
            job = CollectionJob(arguments, memory, self.log)
            # Airflow's own watch begins anew in the worker that takes a deferred task up again.
            job.record.execution_deadline = failed.execution_deadline
            if memory.keep_collection is None:
                self.log.info("Airflow keeps nothing of a task before 3.3: a retry asks for everything again")
            job.run(math.inf)
            record = job.conclude()
            error = error_of(record, 0, job.subject)
        except TimeoutError:
            error = out_of_time(job.subject)
        except AlchemyError as trouble:
            error = trouble
        if error is not None:
            raise airflow_exception(self._explained(error), self, context)
        result = result_of(record)
        result["polls"] += failed.polls
        result["compute_units"] += failed.compute_units
        return {name: result[name] for name in RESULT}

    def _explained(self, error: AlchemyError) -> AlchemyError:
        """Give advice that fits this task: the tokens' own names arguments and XComs that it does not have."""
        if isinstance(error, AlchemySpendingLimitError):
            error.advice = (
                "Raise max_compute_units, which counts for reingestContract and the tokens together, or refresh some "
                "of the tokens with RefreshCollectionOperator(token_ids=…)"
            )
        elif isinstance(error, AlchemyTokensFailedError):
            retry = (
                "Have their contract or their metadata mended"
                if error.kind is ErrorKind.PERMANENT
                else "Retry the task"
            )
            error.advice = f"{retry}; RefreshCollectionOperator names these tokens, and takes max_failed"
        return error

    def _subject_of(self, record: WaitRecord) -> str:
        return record.describe(f"connection {self.alchemy_conn_id!r}")
