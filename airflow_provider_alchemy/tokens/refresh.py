# SPDX-License-Identifier: Apache-2.0
"""
The refresh of a collection on an event loop: pages, refreshes and proofs overlap, within the account's throughput.

Workers share one queue of tokens. One that finds it too short reads the next page; each saves the state after an
answer and before its next call. Memory grows only with the tokens that are still open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, TypeVar

from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.endpoints import (
    MAX_TOKENS_PER_CALL,
    PAGE_ATTEMPTS,
    Call,
    PageKeys,
    describe,
    get_nft_metadata_batch,
    get_nfts_for_contract,
    missing_of,
    refresh_nft_metadata,
)
from airflow_provider_alchemy.api.errors import (
    AlchemyError,
    AlchemyRequestError,
    AlchemyUnexpectedAnswerError,
    ErrorKind,
)
from airflow_provider_alchemy.api.models import TokensById
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.defaults import MIN_SECONDS_BETWEEN_ATTEMPTS
from airflow_provider_alchemy.tokens.proof import QUEUE_RULE, STALE, Chunk, regroup, unproven_reason
from airflow_provider_alchemy.tokens.result import RefreshLog
from airflow_provider_alchemy.tokens.state import CollectionState, Stage

T = TypeVar("T")

MIN_WORKERS, MAX_WORKERS = 2, 16
"""Calls in flight at once. At a tenth of a second for an answer, 16 refresh 16,000 tokens a second."""

TOKENS_PER_WORKER = 1_000
"""What is in flight when the process is killed is asked for again: a tenth of 2,000 tokens or more."""

DEFAULT_WORKERS = 6
"""Where it is not known how many tokens there are."""

MAX_QUEUE_CALLS = 16
"""Calls of ``refreshNftMetadata`` in flight at once."""

MAX_EMPTY_PAGES = 10
"""Pages in a row without a new token: a listing that goes on like that is broken, and each page costs 600 units."""

MAX_CONSECUTIVE_FAILURES, MAX_SILENCE = 10, timedelta(minutes=1)
"""So many calls in a row have failed, each after all its attempts, and so long none was answered: the service is down,
and each attempt may be billed."""

MAX_THROTTLED = timedelta(minutes=10)
"""How long all calls of the account may be refused for its throughput before they fail."""

DEFAULT_ESTIMATE_SECONDS = 10.0
"""What Alchemy's API reference shows as ``estimatedMsToRefresh``."""

_UNSENT, _UNANSWERED = "unsent", "unanswered"

Save = Callable[[dict[str, Any]], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshOptions:
    token_attempts: int = 3
    interval_seconds: float = MIN_SECONDS_BETWEEN_ATTEMPTS
    spending_limit: SpendingLimit
    save: Save | None = None  # for another process; called in a thread
    on_call: Callable[[Usage], None] | None = None  # gets what each call cost


class CollectionRefresh:
    """Refreshes the given tokens of a collection, or all that it lists, and writes to the state how far it is."""

    def __init__(
        self,
        client: AsyncAlchemyClient,
        state: CollectionState,
        token_ids: Sequence[int] | None,
        options: RefreshOptions,
        log: RefreshLog,
    ) -> None:
        self._client = client
        self._state = state
        self._token_ids = token_ids
        self._options = options
        self._log = log
        self._saver = Saver(state.to_dict, options.save)
        self._reading = asyncio.Lock()
        self._page_keys = PageKeys(state.next_key)
        self._last_page: frozenset[int] = frozenset()
        self._empty_pages = 0
        self._queueing = asyncio.Semaphore(MAX_QUEUE_CALLS)
        self._failures = 0
        self._answered_at = datetime.now(UTC)
        self._error: AlchemyError | None = None

    async def run(self, max_pause_seconds: float = inf) -> bool:
        """Work until all tokens are proven or given up (True), or a pause is too long to be spent here."""
        state, options = self._state, self._options
        while state.stage is not Stage.DONE:
            pause = (state.next_at - datetime.now(UTC)).total_seconds() if state.next_at else 0.0
            if pause > max_pause_seconds:
                return False
            if pause > 0:
                await asyncio.sleep(pause)
                # No call was made meanwhile: the service is not down for that.
                self._failures, self._answered_at = 0, datetime.now(UTC)
            await self._run_stage()
            now = datetime.now(UTC)
            state.end_stage(now, options.token_attempts, options.interval_seconds)
            await self._saver.save()
            self._log.log_stage(state, now)
        return True

    async def _run_stage(self) -> None:
        workers, supply = DEFAULT_WORKERS, self._state.supply
        if supply is not None:
            workers = min(max(supply // TOKENS_PER_WORKER, MIN_WORKERS), MAX_WORKERS)
        self._error = None
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(self._work())
        if self._error is not None:
            await self._saver.save()
            raise self._error

    async def _work(self) -> None:
        try:
            while (chunk := await self._next_chunk()) is not None:
                await (self._queue(chunk) if self._state.stage is Stage.QUEUE else self._read(chunk))
                self._log.log_progress(self._state)
                # Before the next call: what is in flight and not saved is all that a kill can lose.
                await self._saver.save()
        except AlchemyError as error:
            self._fail(error)

    def _fail(self, error: AlchemyError) -> None:
        """End the stage. Calls that are in flight are billed: they end, and their answers count."""
        self._error = self._error or error

    async def _next_chunk(self) -> Chunk | None:
        state = self._state
        async with self._reading:
            while self._error is None and not state.is_read and not state.has_chunk():
                await self._read_more()
            if self._error is not None:
                return None
            return state.next_chunk(queued_from=datetime.now(UTC) if state.stage is Stage.QUEUE else None)

    async def _read_more(self) -> None:
        state, given = self._state, self._token_ids
        if given is not None:
            state.add_tokens(given[state.tokens : state.tokens + MAX_TOKENS_PER_CALL])
            state.is_read = state.tokens >= len(given)
            return
        settings = self._client.settings
        subject = describe(state.contract_address, settings)
        call = get_nfts_for_contract(state.contract_address, settings, start_token=state.next_key)
        page = await self._send(call, Usage(), PAGE_ATTEMPTS)
        self._page_keys.check(page, subject)
        # A collection that grows while it is read may show a token again, on the page after.
        listed = dict.fromkeys(token.token_id for token in page.tokens)
        ids = [token_id for token_id in listed if token_id not in self._last_page]
        self._last_page = frozenset(listed)
        self._empty_pages = 0 if ids else self._empty_pages + 1
        if self._empty_pages >= MAX_EMPTY_PAGES and page.next_key is not None:
            msg = f"{MAX_EMPTY_PAGES} pages in a row had no new token, and yet there are more"
            raise AlchemyUnexpectedAnswerError(msg, subject=subject)
        self._log.log_unreadable(page.unreadable, subject)
        listed_tokens, unreadable = state.tokens + len(ids), state.unreadable + page.unreadable
        if page.next_key is None and state.counts_tokens:
            # Before the page counts as read: a retry reads it again, and may find that the list goes on.
            state.unlisted = missing_of(state.supply, listed_tokens + unreadable, subject)
            self._log.log_unlisted(state.unlisted, listed_tokens)
        state.add_tokens(ids)
        state.unreadable = unreadable
        state.next_key, state.is_read = page.next_key, page.next_key is None

    async def _read(self, chunk: Chunk) -> None:
        """Read up to 100 tokens, in one stage after a refresh; the answer may be the proof."""
        state, usage = self._state, Usage()
        refreshes = state.stage is Stage.REFRESH
        call = get_nft_metadata_batch(
            state.contract_address,
            [token_id for tokens in chunk.token_sets for token_id in tokens.token_ids],
            self._client.settings,
            refresh=refreshes,
            # The proof is in what is cached: waiting for the tokens' own servers would refresh nothing.
            uri_timeout_ms=None if refreshes else 0,
        )
        found, failure = TokensById(), ""
        try:
            found = await self._send(call, usage)
            self._log.log_unreadable(found.unreadable, describe(state.contract_address, self._client.settings))
        except BaseException as error:
            if not isinstance(error, AlchemyError) or self._concerns_all(error):
                state.restore(chunk)
                raise
            self._log.log_failure(chunk.count, error)
            failure = error.reason
        sent_at = usage.first_call_at if refreshes else None
        asked = [replace(tokens, asked_at=tokens.asked_at or sent_at) for tokens in chunk.token_sets]
        known = regroup(
            asked, lambda token_id, tokens: failure or unproven_reason(found.get(token_id), tokens.asked_at)
        )
        state.complete(chunk, known)

    async def _queue(self, chunk: Chunk) -> None:
        """Queue tokens one by one, except those that the service would not queue again yet."""
        now = datetime.now(UTC)
        done = [tokens for tokens in chunk.token_sets if tokens.was_just_queued(now)]
        to_queue = [tokens for tokens in chunk.token_sets if not tokens.was_just_queued(now)]
        usages = {token_id: Usage() for tokens in to_queue for token_id in tokens.token_ids}
        reasons: dict[int, str] = {}
        try:
            # Another process must know of these even if this one is killed before their answers.
            await self._saver.save()
            async with asyncio.TaskGroup() as group:
                for token_id, usage in usages.items():
                    group.create_task(self._queue_token(token_id, usage, reasons))
        finally:
            # Also where the refresh stops here: what was queued is paid for. The hundred share their times, or the
            # state would be as large as the collection.
            now = datetime.now(UTC)
            asked_at = min((usage.first_call_at for usage in usages.values() if usage.first_call_at), default=None)
            left = []
            default = {token_id: _UNANSWERED if usage.calls else _UNSENT for token_id, usage in usages.items()}
            for tokens in regroup(to_queue, lambda token_id, _: reasons.get(token_id, default[token_id])):
                if tokens.reason == _UNSENT:
                    left.append(replace(tokens, reason=""))
                    continue
                known = replace(tokens, asked_at=tokens.asked_at or asked_at)
                if tokens.reason == _UNANSWERED:
                    left.append(replace(known, reason=""))
                else:
                    done.append(replace(known, queued_at=now if tokens.reason == STALE else tokens.queued_at))
            self._state.complete(chunk, done, left=left)

    async def _queue_token(self, token_id: int, usage: Usage, reasons: dict[int, str]) -> None:
        state = self._state
        call = refresh_nft_metadata(state.contract_address, token_id, self._client.settings)
        try:
            async with self._queueing:
                if self._error is not None:
                    return
                answer = await self._send(call, usage)
        except AlchemyRequestError as error:
            # Of this token alone, such as one that was refreshed minutes ago: reading it will show.
            self._log.log_refusal(token_id, error)
            reasons[token_id] = STALE
        except AlchemyError as error:
            if self._concerns_all(error):
                self._fail(error)
            else:
                reasons[token_id] = error.reason
        else:
            reasons[token_id] = STALE
            seconds = DEFAULT_ESTIMATE_SECONDS if answer.estimated_seconds is None else answer.estimated_seconds
            # After that time it may be queued again: no answer makes the wait longer.
            state.estimated_seconds = min(max(state.estimated_seconds, seconds), QUEUE_RULE.total_seconds())

    async def _send(self, call: Call[T], usage: Usage, max_attempts: int | None = None) -> T:
        try:
            value = await self._client.send(
                call,
                usage=usage,
                max_attempts=max_attempts,
                # Until then, to be refused for the account's throughput says nothing of these tokens.
                deadline=self._answered_at + MAX_THROTTLED,
                spending_limit=self._options.spending_limit,
                retries_unexpected=True,
            )
        finally:
            self._state.add(usage)
            if self._options.on_call is not None:
                self._options.on_call(usage)
        self._failures, self._answered_at = 0, datetime.now(UTC)
        return value

    def _concerns_all(self, error: AlchemyError) -> bool:
        """Whether an error is none of these tokens alone: the user has to act, or the service is down."""
        self._failures += 1
        may_pass = error.kind is ErrorKind.TRANSIENT or isinstance(error, AlchemyUnexpectedAnswerError)
        silence = datetime.now(UTC) - self._answered_at
        is_down = self._failures >= MAX_CONSECUTIVE_FAILURES and silence >= MAX_SILENCE
        return not may_pass or is_down


class Saver:
    """Saves a state while work goes on: one save at a time, each with all that happened before it began."""

    def __init__(self, snapshot: Callable[[], dict[str, Any]], save: Save | None) -> None:
        self._snapshot = snapshot
        self._save = save
        self._saving = asyncio.Lock()
        self._requested = self._saved = 0

    async def save(self) -> None:
        """Return when all that is known now is saved."""
        if self._save is None:
            return
        self._requested += 1
        request = self._requested
        async with self._saving:
            if self._saved >= request:
                return
            last = self._requested
            save = asyncio.create_task(asyncio.to_thread(self._save, self._snapshot()))
            try:
                await asyncio.shield(save)
            finally:
                # A thread cannot be cancelled, and the next save must not overtake it.
                await asyncio.wait([save])
            self._saved = last
