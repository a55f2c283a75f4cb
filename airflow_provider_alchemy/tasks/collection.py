# SPDX-License-Identifier: Apache-2.0
"""
The refresh of a collection's tokens as a task: a worker asks, a triggerer waits between two attempts.

``RefreshCollectionOperator`` is such a task, and ``ReingestContractOperator`` becomes one where ``reingestContract`` is
gone (``fallback="tokens"``). The state goes through the task's store, so that the next process goes on, also after a
kill.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from math import inf
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.endpoints import GET_CONTRACT_METADATA, get_contract_metadata, is_gone
from airflow_provider_alchemy.api.errors import (
    AlchemyArgumentError,
    AlchemyError,
    AlchemyExecutionDeadlineError,
    AlchemySpendingLimitError,
    AlchemyTokensFailedError,
)
from airflow_provider_alchemy.api.inputs import TokenList, read_contract_address, read_token_ids
from airflow_provider_alchemy.api.logs import Log, plural
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.hooks.alchemy import count_calls
from airflow_provider_alchemy.tasks.arguments import check_is_no_mapped_nothing
from airflow_provider_alchemy.tasks.base import push_result
from airflow_provider_alchemy.tasks.deferral import DeferrableTask
from airflow_provider_alchemy.tasks.event_loop import run_in_thread
from airflow_provider_alchemy.tasks.exceptions import airflow_exception
from airflow_provider_alchemy.tasks.reingest import ReingestTask
from airflow_provider_alchemy.tasks.store import TaskStateStore
from airflow_provider_alchemy.tokens.refresh import CollectionRefresh, RefreshOptions
from airflow_provider_alchemy.tokens.result import (
    RefreshLog,
    check_price,
    error_of,
    price_of_rest,
    report_lines,
    result_of,
)
from airflow_provider_alchemy.tokens.state import MIN_SECONDS_BETWEEN_ATTEMPTS, CollectionState, Method
from airflow_provider_alchemy.triggers.wait import NextAttemptTrigger
from airflow_provider_alchemy.waits.reingest import RESULT_KEYS
from airflow_provider_alchemy.waits.wait import Wait

MIN_DEFERRAL_SECONDS = 5.0
"""A shorter pause costs less in the worker than a new worker process does."""

MAX_SUPPLY = 2**53
"""From here on a supply is no number of tokens, and none that every JSON reader takes."""

KEY = "alchemy_collection"

_STOPS_HERE = "The refresh of %s stops here: what was asked for goes on at Alchemy, and a retry asks for the rest"
_FALLBACK_HINT = 'With fallback="tokens" and wait_for_completion=True this task does it itself'


class TokenStore(TaskStateStore):
    def load_state(
        self, contract_address: str, network: str | None, method: Method = Method.BATCH, digest: str = ""
    ) -> CollectionState | None:
        """Give the state that an earlier process saved of the same work; in a new try it is ready to go on."""
        saved, is_same_try = self.load()
        state = CollectionState.from_dict(saved)
        if state is None:
            return None
        if not state.is_about(contract_address, network or state.network, method, digest):
            self._log.info("The tokens are not those of the earlier try: asking for all of them")
            return None
        if not is_same_try:
            state.begin_new_try()
            self._log.info(
                "An earlier try has proven %s fresh: asking for the others only", plural(state.refreshed, "token")
            )
        return state


class TokenTask(DeferrableTask):
    contract_address: str
    method: Method = Method.BATCH
    token_attempts: int = 3
    attempt_interval: float = MIN_SECONDS_BETWEEN_ATTEMPTS
    max_compute_units: int | None

    def token_store(self, context: Any) -> TokenStore:
        return TokenStore(context, KEY, self.retries, self.log)


class TokenJob:
    """Refreshes a task's tokens, or all of the collection, from where an earlier process of the task left off."""

    def __init__(
        self,
        task: TokenTask,
        store: TokenStore,
        *,
        tokens: TokenList | None = None,
        state: CollectionState | None = None,
    ) -> None:
        self._task = task
        self._store = store
        self._tokens = tokens
        if tokens is not None and tokens.duplicates:
            task.log.info("%s token ids were named more than once; each is asked for once", f"{tokens.duplicates:,}")
        if store.is_missing and state is None:
            task.log.info("Airflow keeps nothing of a task before 3.3: a retry asks for all tokens again")
        address = read_contract_address(task.contract_address)
        self._settings = task.read_settings()
        digest = "" if tokens is None else tokens.digest()
        work = (address, self._settings.network, task.method, digest)
        known = state if state is not None and state.is_about(*work) else store.load_state(*work)
        self.state = known or CollectionState.begin(*work)
        self.state.usd_per_million_units = self._settings.usd_per_million_units
        self.subject = self.state.describe(self._settings.source)
        self._log = RefreshLog(task.log, self.subject)

    async def _begin(self, client: AsyncAlchemyClient) -> None:
        state, usage, now = self.state, Usage(), datetime.now(UTC)
        if self._tokens is not None:
            state.supply, state.submitted_at = len(self._tokens.ids), now
            return
        price, limit = GET_CONTRACT_METADATA.compute_units, self._task.max_compute_units
        check_price("to ask how many tokens there are costs", price, state.compute_units, limit, self.subject)
        try:
            call = get_contract_metadata(state.contract_address, self._settings)
            metadata = await client.send(call, usage=usage)
            metadata.check_is_collection(self.subject)
            # A larger number is no count of tokens, and more than Airflow's messages can hold.
            supply = metadata.total_supply
            state.supply = supply if supply is not None and supply < MAX_SUPPLY else None
            state.counts_tokens = metadata.supply_counts_tokens
            state.submitted_at = now
        finally:
            # Not state.add: until it is answered, nothing was submitted.
            state.polls += usage.calls
            state.compute_units += usage.compute_units
            count_calls(usage)

    def run(self, max_pause_seconds: float = inf) -> bool:
        """Do what ``CollectionRefresh.run`` does, until the state's ``execution_deadline``."""
        try:
            is_done = run_in_thread(lambda: self._run(max_pause_seconds))
        except TimeoutError:
            self._store.save(self.state.to_dict())
            raise _execution_timeout_error(self._task) from None
        except BaseException as error:
            # Such as Airflow's time-out: what is known is saved, and the retry asks for the rest.
            self._store.save(self.state.to_dict())
            if isinstance(error, AlchemySpendingLimitError) and error.subject is None:
                raise self._explained(error) from None
            raise
        if is_done:
            self.state.finished_at = self.state.finished_at or datetime.now(UTC)
            self._store.save(self.state.to_dict())
            self._log.log_summary(self.state)
        return is_done

    async def _run(self, max_pause_seconds: float) -> bool:
        task, state, limit = self._task, self.state, self._task.max_compute_units
        token_ids = None if self._tokens is None else self._tokens.ids
        deadline = state.execution_deadline
        seconds_left = None if deadline is None else (deadline - datetime.now(UTC)).total_seconds()
        async with AsyncAlchemyClient(self._settings) as client, asyncio.timeout(seconds_left):
            if state.submitted_at is None:
                await self._begin(client)
            # After a pause the attempts that are left were known, and paid for, before it.
            if state.next_at is None:
                price = price_of_rest(state)
                check_price("the refresh costs", price, state.compute_units, limit, self.subject)
                self._log.log_price(state, price)
            options = RefreshOptions(
                token_attempts=task.token_attempts,
                interval_seconds=task.attempt_interval,
                spending_limit=SpendingLimit(None if limit is None else limit - state.compute_units),
                save=self._store.save if self._store.is_available else None,
                on_call=count_calls,
            )
            return await CollectionRefresh(client, state, token_ids, options, self._log).run(max_pause_seconds)

    def _explained(self, error: AlchemySpendingLimitError) -> AlchemySpendingLimitError:
        state = self.state
        msg = (
            f"{state.refreshed:,} of {max(state.supply or 0, state.tokens):,} tokens are proven fresh, for "
            f"{state.cost}: {error.what}"
        )
        advice = (
            "Raise max_compute_units: another try of the task then asks only for the tokens that are left, and a task "
            "that is cleared begins anew"
        )
        return AlchemySpendingLimitError(msg, subject=self.subject, advice=advice)


class RefreshCollectionTask(TokenTask):
    """The part of a task that leads a collection's tokens through its processes. The operator adds its arguments."""

    token_ids: Any
    is_whole_collection: bool
    max_failed: float
    report_path: Any
    deferrable: bool

    def execute(
        self, context: Any, event: dict[str, Any] | None = None, state: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Refresh the tokens; after a pause go on, with ``state`` where Airflow has no store for it."""
        self.log.debug("Event of the pause: %s", event)
        self.label_mapped_task(context)
        store = self.token_store(context)
        try:
            check_is_no_mapped_nothing(self, "token_ids", context)
            tokens = None if self.is_whole_collection else read_token_ids(self.token_ids)
            job = TokenJob(self, store, tokens=tokens, state=CollectionState.from_dict(state))
            self._apply_execution_timeout(job.state)
            is_done = job.run(MIN_DEFERRAL_SECONDS if self.deferrable else inf)
        except AlchemyError as error:
            raise airflow_exception(error, self, context) from None
        if not is_done:
            self._defer(job.state, store)
        return self._finish(context, job)

    execute_complete = execute

    def ended_by_airflow(self, context: Any) -> AlchemyError:  # noqa: ARG002 - the base's
        return _execution_timeout_error(self)

    def on_kill(self) -> None:
        self.log.info(_STOPS_HERE, self.contract_address)

    def _apply_execution_timeout(self, state: CollectionState) -> None:
        """Note when ``execution_timeout`` is over: Airflow enforces it in the worker only, not while deferred."""
        now = datetime.now(UTC)
        if state.execution_deadline is None and self.deferrable and self.execution_timeout is not None:
            state.execution_deadline = now + self.execution_timeout
        if state.execution_deadline is not None and state.execution_deadline <= now:
            raise _execution_timeout_error(self)

    def _defer(self, state: CollectionState, store: TokenStore) -> None:
        deadline = state.execution_deadline
        due_at = min(moment for moment in (state.next_at, deadline) if moment is not None)
        values = state.to_dict()
        is_saved = store.save(values)
        self.log.info("Waiting in the triggerer for %.0f s", (due_at - datetime.now(UTC)).total_seconds())
        # Where a store has the state, it goes no second way: it may be large.
        self.defer_until(deadline, NextAttemptTrigger(due_at.isoformat()), {} if is_saved else {"state": values})

    def _finish(self, context: Any, job: TokenJob) -> dict[str, Any]:
        result = result_of(job.state)
        if self.report_path:
            try:
                write_report(self.report_path, report_lines(job.state), self.log)
            except AlchemyError:
                push_result(self, context, result)
                raise
        return self.conclude(context, result, error_of(job.state, self.max_failed, job.subject))


class FallbackTask(ReingestTask, TokenTask):
    """
    A task with ``reingestContract`` that refreshes the tokens in a worker where that endpoint is gone.

    Once it does, the store has their state, so that no retry pays for asking ``reingestContract`` again.
    """

    fallback: str | None
    _refreshes_tokens = False

    def go_on_with_tokens(self, context: Any) -> dict[str, Any] | None:
        """Go on with the tokens where an earlier process of this task has begun to refresh them."""
        if self.fallback is None:
            return None
        store = self.token_store(context)
        try:
            state = store.load_state(read_contract_address(self.contract_address), self.network)
        except AlchemyArgumentError:
            return None  # the call of reingestContract checks it, and says what is wrong
        if state is None:
            return None
        self.log.warning(
            "%s: an earlier try found reingestContract gone; going on with the tokens one by one (fallback='tokens')",
            f"Collection {state.contract_address} on {state.network} (connection {self.alchemy_conn_id!r})",
        )
        return self._refresh_tokens(context, store, state)

    def fail(self, error: AlchemyError, wait: Wait | None, context: Any) -> dict[str, Any]:
        if wait is None or not is_gone(error):
            return super().fail(error, wait, context)
        if self.fallback is None:
            error.advice = ". ".join(part.rstrip(".") for part in (error.advice, _FALLBACK_HINT) if part)
            return super().fail(error, wait, context)
        self.log.warning(
            "%s: reingestContract is gone (%s); its tokens are refreshed one by one now (fallback='tokens')",
            wait.subject,
            error.what,
        )
        waited = wait.state
        store = self.token_store(context)
        # A task that starts in the triggerer asks in each try: no trigger can read the store.
        earlier = store.load_state(waited.contract_address, waited.network)
        state = earlier or CollectionState.begin(waited.contract_address, waited.network)
        state.polls += waited.polls
        state.compute_units += waited.compute_units
        # Airflow's own watch begins anew in the worker that takes a deferred task up again.
        state.execution_deadline = waited.execution_deadline
        store.save(state.to_dict())
        return self._refresh_tokens(context, store, state)

    def on_kill(self) -> None:
        if self._refreshes_tokens:
            self.log.info(_STOPS_HERE, self.contract_address)
        else:
            super().on_kill()

    def _refresh_tokens(self, context: Any, store: TokenStore, state: CollectionState) -> dict[str, Any]:
        self._refreshes_tokens = True
        try:
            job = TokenJob(self, store, state=state)
            job.run()
            error: AlchemyError | None = error_of(job.state, 0, job.subject)
        except AlchemyError as failure:
            error = failure
        if error is None:
            result = result_of(job.state)
            return {name: result[name] for name in RESULT_KEYS}
        # The tokens' own advice names arguments and XComs that this task does not have.
        if isinstance(error, AlchemySpendingLimitError):
            error.advice = (
                "Raise max_compute_units, which counts for reingestContract and the tokens together, or refresh some "
                "of the tokens with RefreshCollectionOperator(token_ids=…)"
            )
        elif isinstance(error, AlchemyTokensFailedError):
            retry = "Have their contract or their metadata corrected" if error.is_permanent else "Retry the task"
            error.advice = f"{retry}; RefreshCollectionOperator names these tokens, and takes max_failed"
        raise airflow_exception(error, self, context)


def write_report(path: Any, lines: Iterable[str], log: Log) -> None:
    """Write the list to any path of Airflow's ``ObjectStoragePath``."""
    number = 0
    try:
        target = ObjectStoragePath(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("w") as report:  # type: ignore[no-untyped-call]  # Airflow's class is not typed
            for line in lines:
                report.write(line)
                number += 1
    except Exception as error:
        msg = f"the report cannot be written to {str(path)!r} (argument 'report_path'): {type(error).__name__}: {error}"
        raise AlchemyArgumentError(msg, advice="Correct the path or its connection, and retry the task") from error
    log.info("%s: %s not proven fresh", path, plural(number, "token"))


def _execution_timeout_error(task: TokenTask) -> AlchemyExecutionDeadlineError:
    subject = f"Collection {task.contract_address}"
    msg = "not all tokens were proven fresh when the task's execution_timeout was over"
    advice = "Raise execution_timeout, or retry the task, which goes on with the tokens that are left"
    return AlchemyExecutionDeadlineError(msg, subject=subject, advice=advice)
