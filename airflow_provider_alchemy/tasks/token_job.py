# SPDX-License-Identifier: Apache-2.0
"""The work of a task that refreshes a collection token by token, in one of its worker processes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime
from math import inf
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.endpoints import GET_CONTRACT_METADATA, get_contract_metadata
from airflow_provider_alchemy.api.errors import (
    AlchemyArgumentError,
    AlchemyExecutionDeadlineError,
    AlchemySpendingLimitError,
)
from airflow_provider_alchemy.api.inputs import TokenList, read_contract_address
from airflow_provider_alchemy.api.logs import Log, plural
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.hooks.alchemy import count_calls
from airflow_provider_alchemy.tasks.event_loop import run_in_thread
from airflow_provider_alchemy.tasks.store import TaskStateStore
from airflow_provider_alchemy.tokens.refresh import CollectionRefresh, RefreshOptions
from airflow_provider_alchemy.tokens.result import (
    RefreshLog,
    check_price,
    price_of_rest,
)
from airflow_provider_alchemy.tokens.state import CollectionState, Method

if TYPE_CHECKING:
    from airflow_provider_alchemy.tasks.collection import TokenTask

MAX_SUPPLY = 2**53
"""From here on a supply is no number of tokens, and none that every JSON reader takes."""

KEY = "alchemy_collection"


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
        work = (address, self._settings.network, Method(task.method), digest)
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
            raise execution_timeout_error(self._task) from None
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


def execution_timeout_error(task: TokenTask) -> AlchemyExecutionDeadlineError:
    subject = f"Collection {task.contract_address}"
    msg = "not all tokens were proven fresh when the task's execution_timeout was over"
    advice = "Raise execution_timeout, or retry the task, which goes on with the tokens that are left"
    return AlchemyExecutionDeadlineError(msg, subject=subject, advice=advice)
