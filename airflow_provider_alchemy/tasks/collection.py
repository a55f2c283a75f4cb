# SPDX-License-Identifier: Apache-2.0
"""
The refresh of a collection's tokens as a task: a worker asks, a triggerer waits between two attempts.

``RefreshCollectionOperator`` is such a task, and ``ReingestContractOperator`` becomes one where ``reingestContract`` is
gone (``fallback="tokens"``). The state goes through the task's store, so that the next process goes on, also after a
kill.
"""

from __future__ import annotations

from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Any

from airflow_provider_alchemy.api.errors import (
    AlchemyArgumentError,
    AlchemyError,
    AlchemySpendingLimitError,
    AlchemyTokensFailedError,
)
from airflow_provider_alchemy.api.inputs import read_contract_address, read_token_ids
from airflow_provider_alchemy.defaults import MIN_SECONDS_BETWEEN_ATTEMPTS
from airflow_provider_alchemy.tasks import lazy
from airflow_provider_alchemy.tasks.arguments import check_is_no_mapped_nothing
from airflow_provider_alchemy.tasks.base import push_result
from airflow_provider_alchemy.tasks.deferral import DeferrableTask
from airflow_provider_alchemy.tasks.exceptions import airflow_exception
from airflow_provider_alchemy.tasks.reingest import ReingestTask

if TYPE_CHECKING:
    from airflow_provider_alchemy.tasks.token_job import TokenJob, TokenStore
    from airflow_provider_alchemy.tokens.state import CollectionState
    from airflow_provider_alchemy.waits.wait import Wait

MIN_DEFERRAL_SECONDS = 5.0
"""A shorter pause costs less in the worker than a new worker process does."""

_STOPS_HERE = "The refresh of %s stops here: what was asked for goes on at Alchemy, and a retry asks for the rest"
_FALLBACK_HINT = 'With fallback="tokens" and wait_for_completion=True this task does it itself'


class TokenTask(DeferrableTask):
    contract_address: str
    method: str = "batch"
    token_attempts: int = 3
    attempt_interval: float = MIN_SECONDS_BETWEEN_ATTEMPTS
    max_compute_units: int | None

    def token_store(self, context: Any) -> TokenStore:
        return lazy.token_job.TokenStore(context, lazy.token_job.KEY, self.retries, self.log)


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
        store = self.store(context)
        try:
            check_is_no_mapped_nothing(self, context)
            tokens = None if self.is_whole_collection else read_token_ids(self.token_ids)
            job = lazy.token_job.TokenJob(
                self, store, tokens=tokens, state=lazy.token_state.CollectionState.from_dict(state)
            )
            self._apply_execution_timeout(job.state)
            is_done = job.run(MIN_DEFERRAL_SECONDS if self.deferrable else inf)
        except AlchemyError as error:
            raise airflow_exception(error, self, context) from None
        if not is_done:
            self._defer(job.state, store)
        return self._finish(context, job)

    execute_complete = execute

    def store(self, context: Any) -> TokenStore:
        return self.token_store(context)

    def ended_by_airflow(self, context: Any) -> AlchemyError:  # noqa: ARG002 - the base's
        return lazy.token_job.execution_timeout_error(self)

    def on_kill(self) -> None:
        self.log.info(_STOPS_HERE, self.contract_address)

    def _apply_execution_timeout(self, state: CollectionState) -> None:
        """Note when ``execution_timeout`` is over: Airflow enforces it in the worker only, not while deferred."""
        now = datetime.now(UTC)
        if state.execution_deadline is None and self.deferrable and self.execution_timeout is not None:
            state.execution_deadline = now + self.execution_timeout
        if state.execution_deadline is not None and state.execution_deadline <= now:
            raise lazy.token_job.execution_timeout_error(self)

    def _defer(self, state: CollectionState, store: TokenStore) -> None:
        deadline = state.execution_deadline
        due_at = min(moment for moment in (state.next_at, deadline) if moment is not None)
        values = state.to_dict()
        is_saved = store.save(values)
        self.log.info("Waiting in the triggerer for %.0f s", (due_at - datetime.now(UTC)).total_seconds())
        # Where a store has the state, it goes no second way: it may be large.
        self.defer_until(
            deadline, lazy.wait_trigger.NextAttemptTrigger(due_at.isoformat()), {} if is_saved else {"state": values}
        )

    def _finish(self, context: Any, job: TokenJob) -> dict[str, Any]:
        result = lazy.token_result.result_of(job.state)
        if self.report_path:
            try:
                lazy.token_job.write_report(self.report_path, lazy.token_result.report_lines(job.state), self.log)
            except AlchemyError:
                push_result(self, context, result)
                raise
        return self.conclude(context, result, lazy.token_result.error_of(job.state, self.max_failed, job.subject))


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
        if wait is None or not lazy.endpoints.is_gone(error):
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
        state = earlier or lazy.token_state.CollectionState.begin(waited.contract_address, waited.network)
        state.polls += waited.polls
        state.compute_units += waited.compute_units
        # Airflow's own watch begins anew in the worker that takes a deferred task up again.
        state.execution_deadline = waited.execution_deadline
        store.save(state.to_dict())
        return self._refresh_tokens(context, store, state)

    def end_try(self, context: Any) -> None:
        super().end_try(context)
        self.token_store(context).end_try()

    def on_kill(self) -> None:
        if self._refreshes_tokens:
            self.log.info(_STOPS_HERE, self.contract_address)
        else:
            super().on_kill()

    def _refresh_tokens(self, context: Any, store: TokenStore, state: CollectionState) -> dict[str, Any]:
        self._refreshes_tokens = True
        try:
            job = lazy.token_job.TokenJob(self, store, state=state)
            job.run()
            error: AlchemyError | None = lazy.token_result.error_of(job.state, 0, job.subject)
        except AlchemyError as failure:
            error = failure
        if error is None:
            result = lazy.token_result.result_of(job.state)
            return {name: result[name] for name in lazy.reingest.RESULT_KEYS}
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
