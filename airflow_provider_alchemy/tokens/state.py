# SPDX-License-Identifier: Apache-2.0
"""
How far the refresh of a collection is, token by token. No I/O.

The tokens go through stages: each stage asks for all that are open, and the next one for those that it left. The state
is enough for another process to go on, and no more: of tokens that are proven it has only their number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Self

from airflow_provider_alchemy.api.endpoints import MAX_TOKENS_PER_CALL
from airflow_provider_alchemy.api.inputs import pack_ids, unpack_ids
from airflow_provider_alchemy.api.models import MetadataError, TokenMetadata
from airflow_provider_alchemy.waits.wait import WaitState, from_json, to_json

STALE = "stale"
"""The service answered, and the metadata is not newer than the request for it."""

MISSING = "missing_in_answer"

FINAL_REASONS = frozenset(error.value for error in MetadataError if error.is_final)

QUEUE_RULE = timedelta(minutes=15)
"""Alchemy refreshes a token once in this time with ``refreshNftMetadata``, over all users (its API reference)."""


class Method(StrEnum):
    """How tokens are refreshed."""

    BATCH = "batch"
    """``getNFTMetadataBatch`` with ``refreshCache``: 100 tokens a call, whose answer may be the proof."""

    QUEUE = "queue"
    """``refreshNftMetadata`` for each token, and the proof by reading."""


class Stage(StrEnum):
    REFRESH = "refresh"
    QUEUE = "queue"
    PROVE = "prove"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class TokenSet:
    """Tokens of which the same is known."""

    ids: str  # packed: ten thousand that follow each other take a few characters
    count: int
    asked_at: datetime | None = None  # when their refresh was first requested
    queued_at: datetime | None = None  # when they were last queued with refreshNftMetadata
    reason: str = ""  # why they are not proven; empty before the first answer

    @classmethod
    def of(cls, token_ids: Sequence[int], **known: Any) -> Self:
        return cls(pack_ids(token_ids), len(token_ids), **known)

    @property
    def token_ids(self) -> tuple[int, ...]:
        return unpack_ids(self.ids)

    @property
    def is_final(self) -> bool:
        return self.reason in FINAL_REASONS

    def split(self, size: int) -> tuple[TokenSet, TokenSet | None]:
        if size >= self.count:
            return self, None
        ids = self.token_ids
        first = replace(self, ids=pack_ids(ids[:size]), count=size)
        return first, replace(self, ids=pack_ids(ids[size:]), count=self.count - size)

    def was_just_queued(self, now: datetime) -> bool:
        """Whether the service would not queue these tokens again yet."""
        return self.queued_at is not None and now < self.queued_at + QUEUE_RULE


@dataclass(frozen=True, slots=True)
class Chunk:
    token_sets: tuple[TokenSet, ...]
    # When their queueing began. If the process dies, what it queued until then counts as requested at this time: a
    # later request changes nothing for 15 minutes, so nothing would ever be newer than that one.
    queued_from: datetime | None = None

    @property
    def count(self) -> int:
        return count(self.token_sets)

    def as_open(self) -> list[TokenSet]:
        """Give the tokens to a process that does not know what became of their call."""
        return [replace(tokens, asked_at=tokens.asked_at or self.queued_from) for tokens in self.token_sets]


def count(token_sets: Iterable[TokenSet]) -> int:
    return sum(tokens.count for tokens in token_sets)


def judge(metadata: TokenMetadata | None, asked_at: datetime | None) -> str:
    """Give the reason why an answer does not prove a token's refresh; empty where it does."""
    if metadata is None:
        return MISSING
    if metadata.error is not None:
        return metadata.error.value
    if asked_at is None:
        return STALE
    # The service cuts its times to milliseconds: a refresh right after the request would seem to come before it.
    millisecond = asked_at.replace(microsecond=asked_at.microsecond // 1000 * 1000)
    return "" if metadata.is_newer_than(millisecond - timedelta(microseconds=1)) else STALE


def regroup(token_sets: Iterable[TokenSet], reason_of: Callable[[int, TokenSet], str]) -> list[TokenSet]:
    """Put tokens together by what is known of them, after each got a new reason."""
    found: defaultdict[TokenSet, list[int]] = defaultdict(list)
    for tokens in token_sets:
        by_reason: defaultdict[str, list[int]] = defaultdict(list)
        for token_id in tokens.token_ids:
            by_reason[reason_of(token_id, tokens)].append(token_id)
        for reason, ids in by_reason.items():
            found[replace(tokens, ids="", count=0, reason=reason)] += ids
    return [replace(known, ids=pack_ids(ids), count=len(ids)) for known, ids in found.items()]


@dataclass(slots=True, kw_only=True)
class CollectionState(WaitState):
    """How far the refresh is; ``execution_deadline`` is only that of a deferrable task."""

    # Fields that are not known are of another version, whose rules of a proof may be other ones.
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    method: Method = Method.BATCH
    digest: str = ""  # which tokens were given (TokenList.digest); empty: the whole collection, which is listed
    supply: int | None = None  # how many tokens there are, as far as that is known beforehand
    counts_tokens: bool = True  # whether the supply does so; that of an ERC-1155 counts copies
    stage: Stage = Stage.REFRESH
    attempt: int = 1  # of the stage
    next_at: datetime | None = None  # when the stage may begin; None: at once
    next_key: str | None = None  # where the next page of the listing begins; None: with the first token
    is_read: bool = False  # whether all pages, or all given ids, were read
    tokens: int = 0  # how many were read
    unreadable: int = 0  # how many more were listed in a form that names no token
    unlisted: int = 0  # how many of the supply the list left out: burned tokens, for instance
    refreshed: int = 0  # how many of them are proven
    todo: list[TokenSet] = field(default_factory=list)  # what this stage still has to ask for
    in_flight: list[Chunk] = field(default_factory=list)
    unproven: list[TokenSet] = field(default_factory=list)  # what it has asked for, and leaves to the next stage
    failed: list[TokenSet] = field(default_factory=list)  # what is given up
    estimated_seconds: float = 0.0  # how long queued tokens may take, as the service said in this stage

    @classmethod
    def begin(cls, contract_address: str, network: str, method: Method = Method.BATCH, digest: str = "") -> Self:
        state = cls(contract_address=contract_address, network=network, method=method, digest=digest)
        state.stage = state._first_stage
        return state

    @classmethod
    def from_dict(cls, value: Any) -> Self | None:
        state: Self | None = from_json(cls, value)
        if state is None:
            return None
        state.todo[:0] = [tokens for chunk in state.in_flight for tokens in chunk.as_open()]
        state.in_flight = []
        return state

    def to_dict(self) -> dict[str, Any]:
        """Give the state as JSON values, without those that are as at the beginning."""
        return to_json(self, is_short=True)

    def is_about(self, contract_address: str, network: str, method: Method, digest: str) -> bool:
        mine = (self.contract_address, self.network, self.method, self.digest)
        return mine == (contract_address, network, method, digest)

    @property
    def remaining(self) -> int:
        """How many tokens this stage has no answer for."""
        return count(self.todo) + sum(chunk.count for chunk in self.in_flight)

    @property
    def answered(self) -> int:
        return self.tokens - self.remaining

    @property
    def stale(self) -> int:
        return count(tokens for tokens in self.failed if tokens.reason == STALE)

    @property
    def _first_stage(self) -> Stage:
        return Stage.QUEUE if self.method is Method.QUEUE else Stage.REFRESH

    def add_tokens(self, token_ids: Sequence[int]) -> None:
        self.tokens += len(token_ids)
        if token_ids:
            self.todo.append(TokenSet.of(token_ids))

    def has_chunk(self, size: int = MAX_TOKENS_PER_CALL) -> bool:
        # Fewer are taken only where no more will come: a call costs the same.
        return bool(self.todo) and (self.is_read or count(self.todo) >= size)

    def next_chunk(self, size: int = MAX_TOKENS_PER_CALL, *, queued_from: datetime | None = None) -> Chunk | None:
        """Give the tokens of the next call; None where there are none, or not enough yet."""
        if not self.has_chunk(size):
            return None
        taken: list[TokenSet] = []
        while size and self.todo:
            first, rest = self.todo[0].split(size)
            self.todo[:1] = [] if rest is None else [rest]
            taken.append(first)
            size -= first.count
        chunk = Chunk(tuple(taken), queued_from)
        self.in_flight.append(chunk)
        return chunk

    def complete(self, chunk: Chunk, token_sets: Iterable[TokenSet], *, left: Sequence[TokenSet] = ()) -> None:
        """Apply what is known of a chunk's tokens now: those without a reason are proven, ``left`` are still to do."""
        self.in_flight.remove(chunk)
        self.todo[:0] = left
        for tokens in token_sets:
            if not tokens.reason:
                self.refreshed += tokens.count
            else:
                (self.failed if tokens.is_final else self.unproven).append(tokens)

    def restore(self, chunk: Chunk) -> None:
        """Ask again for tokens whose call says nothing of them."""
        self.complete(chunk, (), left=chunk.token_sets)

    def end_stage(self, now: datetime, token_attempts: int, interval_seconds: float) -> None:
        self.todo, self.unproven = self.unproven, []
        if self.stage is Stage.QUEUE:
            self.stage, self.next_at = Stage.PROVE, now + timedelta(seconds=self.estimated_seconds)
        elif self.attempt < token_attempts:
            self.attempt, self.next_at = self.attempt + 1, now + timedelta(seconds=interval_seconds)
            self.stage = self._first_stage
        else:
            self.failed += self.todo
            self.todo = []
        self.estimated_seconds = 0.0
        if not self.todo:
            self.stage, self.next_at = Stage.DONE, now
        elif self.stage is Stage.QUEUE and all(tokens.was_just_queued(self.next_at or now) for tokens in self.todo):
            self.stage = Stage.PROVE

    def begin_new_try(self) -> None:
        """Ask again, in a new try of the task, for the tokens that were given up though they may yet be refreshed."""
        super(CollectionState, self).begin_new_try()  # slots=True makes a class that a bare super() does not know
        again = [tokens for tokens in self.failed if not tokens.is_final]
        if self.stage is not Stage.DONE or not again:
            return
        self.failed = [tokens for tokens in self.failed if tokens.is_final]
        self.todo, self.attempt, self.next_at, self.finished_at = again, 1, None, None
        self.stage = self._first_stage
