# SPDX-License-Identifier: Apache-2.0
"""When a token is proven to be refreshed, why it is not, and tokens of which the same is known. No I/O."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from airflow_provider_alchemy.api.models import MetadataError, TokenMetadata
from airflow_provider_alchemy.api.packing import pack_ids, unpack_ids

STALE = "stale"
"""The service answered, and the metadata is not newer than the request for it."""

MISSING = "missing_in_answer"

FINAL_REASONS = frozenset(error.value for error in MetadataError if error.is_final)

QUEUE_RULE = timedelta(minutes=15)
"""Alchemy refreshes a token once in this time with ``refreshNftMetadata``, over all users (its API reference)."""


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


def unproven_reason(metadata: TokenMetadata | None, asked_at: datetime | None) -> str:
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
