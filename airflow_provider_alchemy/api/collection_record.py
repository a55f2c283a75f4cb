# SPDX-License-Identifier: Apache-2.0
"""
How far the refresh of a collection is, token by token. No I/O.

The tokens go through stages: each stage asks for all that are still open, and the next one for what it left. What is
kept here is enough for another process to go on, and no more: of tokens that are proven only their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from airflow_provider_alchemy.api.endpoints import MOST_TOKENS
from airflow_provider_alchemy.api.token_groups import STALE, TokenGroup, count, read_groups

QUEUE_RULE_SECONDS = 900.0
"""Alchemy refreshes a token once in 15 minutes with ``refreshNftMetadata``, over all users (its API reference)."""

LEAST_SECONDS_BETWEEN_ATTEMPTS = 10.0
"""What Alchemy's API reference asks for where a token's URI is throttled."""


Chunk = tuple[TokenGroup, ...]


class Method(StrEnum):
    """How tokens are refreshed."""

    BATCH = "batch"
    """``getNFTMetadataBatch`` with ``refreshCache``: 100 tokens a call, whose answer may be the proof."""

    QUEUE = "queue"
    """``refreshNftMetadata`` for each token, and the proof by reading."""

    AUTO = "auto"
    """``batch``, then ``queue`` for the tokens that it left stale."""


class Stage(StrEnum):
    """What is asked for the tokens that are open."""

    REFRESH = "refresh"
    QUEUE = "queue"
    PROVE = "prove"
    DONE = "done"


@dataclass(slots=True, kw_only=True)
class CollectionRecord:
    """
    The refresh of a collection so far.

    :param contract_address: The collection's contract, in lower case.
    :param network: The network's slug.
    :param method: How its tokens are refreshed.
    :param digest: Which tokens were given (``TokenList.digest``); empty: the whole collection, which is listed.
    :param supply: How many tokens there are by what is known beforehand; None: it is not known.
    :param stage: What is asked now.
    :param attempt: Which try of the stage this is, from 1.
    :param next_at: When the stage may begin, in seconds since the epoch.
    :param next_key: Where the next page of the listing begins; None: with the first token.
    :param given: How many of the given tokens were taken on.
    :param is_taken: Whether all tokens were taken on.
    :param tokens: How many were.
    :param refreshed: How many of them are proven.
    :param todo: Those that this stage has not settled.
    :param waiting: Those that it has, and that are open.
    :param failed: Those that are given up.
    :param estimated_seconds: How long queued tokens may take, as the service said in this stage.
    :param polls: Calls made.
    :param compute_units: Units billed for them.
    :param submitted_at: When it began (ISO 8601).
    :param finished_at: When it ended; None before.
    :param execution_deadline: When the task's ``execution_timeout`` is over, where it counts while deferred.
    """

    contract_address: str
    network: str
    method: Method
    digest: str = ""
    supply: int | None = None
    stage: Stage = Stage.REFRESH
    attempt: int = 1
    next_at: float = 0.0
    next_key: str | None = None
    given: int = 0
    is_taken: bool = False
    tokens: int = 0
    refreshed: int = 0
    todo: list[TokenGroup] = field(default_factory=list)
    waiting: list[TokenGroup] = field(default_factory=list)
    failed: list[TokenGroup] = field(default_factory=list)
    estimated_seconds: float = 0.0
    polls: int = 0
    compute_units: int = 0
    submitted_at: str = ""
    finished_at: str | None = None
    execution_deadline: str | None = None
    _under_way: dict[Chunk, Chunk] = field(default_factory=dict, repr=False)

    @classmethod
    def begin(cls, contract_address: str, network: str, method: Method, digest: str = "") -> Self:
        """Make the record of a refresh that begins; see the class for the arguments."""
        first = Stage.QUEUE if method is Method.QUEUE else Stage.REFRESH
        return cls(contract_address=contract_address, network=network, method=method, digest=digest, stage=first)

    @classmethod
    def read(cls, value: Any) -> Self | None:
        """
        Rebuild a record that crossed a process.

        :param value: What ``to_dict`` gave.
        :return: The record; None for anything else.
        """
        try:
            known = {
                **value,
                "method": Method(value["method"]),
                "stage": Stage(value["stage"]),
                **{name: read_groups(value[name]) for name in ("todo", "waiting", "failed")},
            }
            return cls(**known)
        except (TypeError, KeyError, ValueError):
            return None

    def to_dict(self) -> dict[str, Any]:
        """
        Give the record as JSON values. Tokens whose answer is awaited are to be asked for again.

        :return: The fields.
        """
        under_way = [group for groups in self._under_way.values() for group in groups]
        kept = {name: getattr(self, name) for name in self.__dataclass_fields__ if not name.startswith("_")}
        kept |= {"method": self.method.value, "stage": self.stage.value}
        kept["todo"] = [group.to_list() for group in (*under_way, *self.todo)]
        kept |= {name: [group.to_list() for group in getattr(self, name)] for name in ("waiting", "failed")}
        return kept

    def is_about(self, other: CollectionRecord) -> bool:
        """
        Tell whether another record is of the same work.

        :param other: The record.
        :return: Whether it is.
        """
        return (self.contract_address, self.network, self.method, self.digest) == (
            other.contract_address,
            other.network,
            other.method,
            other.digest,
        )

    @property
    def settled(self) -> int:
        """How many tokens have had an answer."""
        return self.tokens - self.open_in_stage

    @property
    def open_in_stage(self) -> int:
        """How many tokens this stage has not settled."""
        return count(self.todo) + sum(count(groups) for groups in self._under_way.values())

    @property
    def stale(self) -> int:
        """How many tokens are given up because their metadata did not become newer."""
        return count(group for group in self.failed if group.reason == STALE)

    def take_on(self, token_ids: Sequence[int]) -> None:
        """
        Take on tokens.

        :param token_ids: Their ids.
        """
        self.tokens += len(token_ids)
        if token_ids:
            self.todo.append(TokenGroup.of(token_ids))

    def has_chunk(self, most: int = MOST_TOKENS) -> bool:
        """
        Tell whether ``take`` would give tokens.

        :param most: How many, at most.
        :return: Whether it would.
        """
        return bool(self.todo) and (self.is_taken or count(self.todo) >= most)

    def take(self, most: int = MOST_TOKENS, *, now: float | None = None) -> Chunk | None:
        """
        Take the tokens of the next call.

        :param most: How many, at most. Fewer are taken only where no more will come, because a call costs the same.
        :param now: Seconds since the epoch, where ``to_dict`` is to give these tokens as asked for now. Should the
            process die before their answers, the refreshes that it has queued are not taken for older than a request
            that another process sends, and that changes nothing for 15 minutes.
        :return: They; None where there are none, or not enough yet.
        """
        if not self.has_chunk(most):
            return None
        taken: list[TokenGroup] = []
        room = most
        while room and self.todo:
            first, rest = self.todo[0].split(room)
            self.todo[:1] = [] if rest is None else [rest]
            taken.append(first)
            room -= first.count
        chunk = tuple(taken)
        self._under_way[chunk] = tuple(replace(group, asked_at=group.asked_at or now) for group in chunk)
        return chunk

    def put_back(self, chunk: Chunk) -> None:
        """
        Take up tokens again whose call says nothing of them.

        :param chunk: What ``take`` gave.
        """
        self.settle(chunk, (), left=chunk)

    def settle(self, chunk: Chunk, groups: Sequence[TokenGroup], *, left: Sequence[TokenGroup] = ()) -> None:
        """
        Note what a stage has made of tokens.

        :param chunk: What ``take`` gave.
        :param groups: The same tokens with what is known of them now; those without a reason are proven.
        :param left: Those of them that the stage still has to ask for.
        """
        del self._under_way[chunk]
        self.todo[:0] = left
        for group in groups:
            if not group.reason:
                self.refreshed += group.count
            else:
                (self.failed if group.is_final else self.waiting).append(group)

    def end_stage(self, now: float, attempts: int, interval_seconds: float, *, can_queue: bool) -> None:
        """
        Go on to the next stage, after all tokens of this one are settled.

        :param now: Seconds since the epoch.
        :param attempts: How often a token is tried by each method.
        :param interval_seconds: Seconds between two tries of a token.
        :param can_queue: Whether ``refreshNftMetadata`` may be used after ``batch``.
        """
        self.todo, self.waiting = self.waiting, []
        if self.stage is Stage.QUEUE:
            self.stage, self.next_at = Stage.PROVE, now + self.estimated_seconds
        elif self.attempt < attempts:
            self.attempt, self.next_at = self.attempt + 1, now + interval_seconds
            self.stage = Stage.QUEUE if self.stage is Stage.PROVE else Stage.REFRESH
        elif self.stage is Stage.REFRESH and can_queue:
            self.failed += [group for group in self.todo if group.reason != STALE]
            self.todo = [group for group in self.todo if group.reason == STALE]
            self.stage, self.attempt, self.next_at = Stage.QUEUE, 1, now + interval_seconds
        else:
            self.failed += self.todo
            self.todo = []
        self.estimated_seconds = 0.0
        if not self.todo:
            self.stage, self.next_at = Stage.DONE, now
        elif self.stage is Stage.QUEUE and all(was_just_queued(group, self.next_at) for group in self.todo):
            self.stage = Stage.PROVE

    def for_next_try(self) -> None:
        """Ask again, in a new try of the task, for the tokens that were given up though they may yet be refreshed."""
        again = [group for group in self.failed if not group.is_final]
        if self.stage is not Stage.DONE or not again:
            return
        self.failed = [group for group in self.failed if group.is_final]
        self.todo, self.attempt, self.next_at, self.finished_at = again, 1, 0.0, None
        self.stage = Stage.QUEUE if self.method is Method.QUEUE else Stage.REFRESH


def was_just_queued(group: TokenGroup, now: float) -> bool:
    """
    Tell whether the service would not take tokens again.

    :param group: The tokens.
    :param now: Seconds since the epoch.
    :return: Whether they were queued less than 15 minutes ago.
    """
    return group.queued_at is not None and now < group.queued_at + QUEUE_RULE_SECONDS
