# SPDX-License-Identifier: Apache-2.0
"""Asking for the tokens of a stage: one call for a hundred of them, or one for each, and what the answers settle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, TypeVar

import pendulum

from airflow_provider_alchemy.api import throttle as retries
from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.collection_log import CollectionLog
from airflow_provider_alchemy.api.collection_record import (
    QUEUE_RULE_SECONDS,
    Chunk,
    CollectionRecord,
    Stage,
    was_just_queued,
)
from airflow_provider_alchemy.api.endpoints import PAGE_ATTEMPTS, Call, get_nft_metadata_batch, refresh_nft_metadata
from airflow_provider_alchemy.api.errors import (
    AlchemyError,
    AlchemyRateLimitError,
    AlchemyRequestError,
    AlchemyUnexpectedAnswerError,
    ErrorKind,
    reason_of,
)
from airflow_provider_alchemy.api.keeping import Keep
from airflow_provider_alchemy.api.models import TokenPage
from airflow_provider_alchemy.api.token_groups import STALE, TokenGroup, judge, regroup
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage

T = TypeVar("T")

MOST_FAILURES, SILENCE_SECONDS = 10, 60.0
"""So many calls in a row have failed, each after all its attempts, and so long none was answered: the service is down,
and each attempt may be billed."""

THROTTLED_SECONDS = 600.0
"""How long an account may be refused all of its calls for its throughput before its refresh gives up."""

USUAL_ESTIMATE_SECONDS = 10.0
"""What Alchemy's API reference shows as ``estimatedMsToRefresh``."""

_UNSETTLED = "unsettled"

CALLS_FOR_QUEUE = 16
"""Calls of ``refreshNftMetadata`` under way at once for the tokens of one chunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshPlan:
    """
    How a collection is refreshed.

    :param token_attempts: How often a token is tried by each method.
    :param interval_seconds: Seconds between two tries of a token.
    :param spending_limit: What may be spent from now on.
    :param keep: Keeps the record for another process; None: nothing is kept.
    :param on_call: Is told what each call cost.
    """

    token_attempts: int = 3
    interval_seconds: float = 10.0
    spending_limit: SpendingLimit
    keep: Keep | None = None
    on_call: Callable[[Usage], None] | None = None


class _QueueCall:
    """A call for one token, and what is known of the token in the end."""

    def __init__(
        self,
        work: Callable[[int, TokenGroup, Usage], Coroutine[Any, Any, TokenGroup]],
        token_id: int,
        group: TokenGroup,
    ) -> None:
        self._group = group
        self._spent = Usage()
        self.task = asyncio.create_task(work(token_id, group, self._spent))

    def end(self) -> TokenGroup:
        """Tell what is known of the token; without a settled answer it is to be asked for again."""
        if self.task.done() and not self.task.cancelled() and self.task.exception() is None:
            return self.task.result()
        self.task.cancel()
        return replace(self._group, asked_at=self._group.asked_at or _moment(self._spent), reason=_UNSETTLED)


class TokenCaller:
    """
    Settles tokens.

    :param client: Whose account, and the way to it.
    :param record: The refresh; it is told what the answers say.
    :param plan: How it is refreshed.
    :param log: Tells people what went wrong.
    """

    def __init__(
        self, client: AsyncAlchemyClient, record: CollectionRecord, plan: RefreshPlan, log: CollectionLog
    ) -> None:
        self._client = client
        self._record = record
        self._plan = plan
        self._log = log
        self._failures = 0
        self._answered_at = time.monotonic()
        self._queueing = asyncio.Semaphore(CALLS_FOR_QUEUE)

    async def ask_for_page(self, call: Call[TokenPage]) -> TokenPage:
        """
        Ask for a page of the listing.

        :param call: The call.
        :return: The page.
        :raises AlchemyError: What went wrong.
        """
        return await self._ask(call, Usage(), PAGE_ATTEMPTS)

    async def settle(self, chunk: Chunk) -> None:
        """
        Ask for tokens what their stage wants to know.

        :param chunk: Up to 100 tokens that the record gave.
        :raises AlchemyError: What concerns all tokens, not these alone; these are open again then.
        """
        if self._record.stage is Stage.QUEUE:
            await self._queue(chunk)
            return
        try:
            groups = await self._read(chunk)
        except BaseException:
            self._record.put_back(chunk)
            raise
        self._record.settle(chunk, groups)

    async def _read(self, chunk: Chunk) -> list[TokenGroup]:
        """Read up to 100 tokens, in one stage after a refresh; the answer may be the proof."""
        record, refreshes, spent = self._record, self._record.stage is Stage.REFRESH, Usage()
        call = get_nft_metadata_batch(
            record.contract_address,
            [token_id for group in chunk for token_id in group.token_ids],
            self._client.settings,
            refresh=refreshes,
            # The proof is in what is cached: waiting for the tokens' own servers would refresh nothing.
            uri_timeout_ms=None if refreshes else 0,
        )
        try:
            found = await self._ask(call, spent)
        except AlchemyError as error:
            self._check(error)
            self._log.say_failure(sum(group.count for group in chunk), error)
            return [replace(group, reason=reason_of(error)) for group in _asked(chunk, spent, refreshes=refreshes)]
        asked = _asked(chunk, spent, refreshes=refreshes)
        return regroup(asked, lambda token_id, group: judge(group, found.get(token_id)))

    async def _queue(self, chunk: Chunk) -> None:
        """Queue tokens one by one, except those that the service would not take again yet."""
        now = pendulum.now("UTC").timestamp()
        calls = {
            token_id: _QueueCall(self._queue_one, token_id, replace(group, packed="", count=0))
            for group in chunk
            if not was_just_queued(group, now)
            for token_id in group.token_ids
        }
        try:
            await asyncio.gather(*(call.task for call in calls.values()), return_exceptions=True)
        finally:
            # Also where the whole refresh stops here: what was queued is paid for, and not taken again for a while.
            known = regroup(chunk, lambda token_id, group: calls[token_id].end() if token_id in calls else group)
            self._record.settle(
                chunk,
                [group for group in known if group.reason != _UNSETTLED],
                left=[replace(group, reason="") for group in known if group.reason == _UNSETTLED],
            )
        # All have ended: what they cost is known. The first error that concerns all tokens is raised here.
        for call in calls.values():
            call.task.result()

    async def _queue_one(self, token_id: int, group: TokenGroup, spent: Usage) -> TokenGroup:
        call = refresh_nft_metadata(self._record.contract_address, token_id, self._client.settings)
        reason = STALE
        try:
            async with self._queueing:
                answer = await self._ask(call, spent)
        except AlchemyRequestError as error:
            # Of this token alone, such as one that somebody refreshed minutes ago: reading it will tell.
            self._log.say_refusal(token_id, error)
        except AlchemyError as error:
            self._check(error)
            reason = reason_of(error)
        else:
            seconds = USUAL_ESTIMATE_SECONDS if answer.estimated_seconds is None else answer.estimated_seconds
            # After that time it may be asked for again: nobody waits longer, whatever an answer says.
            self._record.estimated_seconds = min(max(self._record.estimated_seconds, seconds), QUEUE_RULE_SECONDS)
        sent_at = _moment(spent)
        queued_at = sent_at if reason == STALE else group.queued_at
        return replace(
            group, packed="", count=0, asked_at=group.asked_at or sent_at, queued_at=queued_at, reason=reason
        )

    async def _ask(self, call: Call[T], spent: Usage, attempts: int | None = None) -> T:
        attempts = attempts or self._client.settings.max_attempts
        try:
            value = await self._send(call, spent, attempts)
        finally:
            self._record.polls += spent.calls
            self._record.compute_units += spent.compute_units
            if self._plan.on_call is not None:
                self._plan.on_call(spent)
        self._failures, self._answered_at = 0, time.monotonic()
        return value

    async def _send(self, call: Call[T], spent: Usage, attempts: int) -> T:
        for refusals in count(attempts):
            try:
                return await self._client.send(
                    call,
                    usage=spent,
                    max_attempts=attempts,
                    spending_limit=self._plan.spending_limit,
                    retries_unexpected=True,
                )
            except AlchemyRateLimitError as error:
                # The account's trouble and no token's: it is not billed, and passes.
                if time.monotonic() - self._answered_at >= THROTTLED_SECONDS:
                    raise
                await asyncio.sleep(retries.backoff_seconds(refusals, error.retry_after_seconds))
        msg = "nobody counts to the end"
        raise AssertionError(msg)

    def _check(self, error: AlchemyError) -> None:
        """Raise what concerns all tokens: what only the user can mend, or a service that is down."""
        self._failures += 1
        is_theirs = error.kind is ErrorKind.TRANSIENT or isinstance(error, AlchemyUnexpectedAnswerError)
        is_down = self._failures >= MOST_FAILURES and time.monotonic() - self._answered_at >= SILENCE_SECONDS
        if not is_theirs or is_down:
            raise error


def _asked(chunk: Chunk, spent: Usage, *, refreshes: bool) -> list[TokenGroup]:
    """Note when the refresh of tokens was asked for, where it was the first time."""
    sent_at = _moment(spent) if refreshes else None
    return [replace(group, asked_at=group.asked_at or sent_at) for group in chunk]


def _moment(spent: Usage) -> float | None:
    return None if spent.first_call_at is None else spent.first_call_at.timestamp()
