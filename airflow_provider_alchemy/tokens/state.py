# SPDX-License-Identifier: Apache-2.0
"""
How far the refresh of a collection is, token by token. No I/O.

The tokens go through stages: each stage asks for all that are open, and the next one for those that it left. The state
is enough for another process to go on, and no more: of tokens that are proven it has only their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar, Self

from airflow_provider_alchemy.api.endpoints import MAX_TOKENS_PER_CALL
from airflow_provider_alchemy.tokens.proof import STALE, Chunk, TokenSet, count
from airflow_provider_alchemy.waits.wait import WaitState, from_json, to_json


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
