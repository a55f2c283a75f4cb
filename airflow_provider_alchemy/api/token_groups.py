# SPDX-License-Identifier: Apache-2.0
"""
Tokens that share a fate: what is known of them is kept once for all, and their ids in a few characters. No I/O.

A collection of a hundred thousand tokens is refreshed in one process, and what is still open of it goes through
Airflow's database while it runs.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Self

from pendulum import UTC, DateTime

from airflow_provider_alchemy.api.inputs import pack_ids, unpack_ids
from airflow_provider_alchemy.api.models import TokenMetadata

STALE = "stale"
"""The service answered, and the metadata is not newer than the request for it."""

MISSING = "missing_in_answer"


@dataclass(frozen=True, slots=True)
class TokenGroup:
    """
    Tokens of which the same is known.

    :param packed: Their ids (``pack_ids``).
    :param count: How many they are.
    :param asked_at: When the task asked for their refresh first, in seconds since the epoch; None: not yet.
    :param queued_at: When it last queued them with ``refreshNftMetadata``; None: never.
    :param reason: Why they are not refreshed; empty before the first answer.
    :param is_final: Whether another try cannot help.
    """

    packed: str
    count: int
    asked_at: float | None = None
    queued_at: float | None = None
    reason: str = ""
    is_final: bool = False

    @classmethod
    def of(cls, token_ids: Sequence[int], **known: Any) -> Self:
        """
        Make a group of ids.

        :param token_ids: The ids.
        :param known: The other fields.
        :return: The group.
        """
        return cls(pack_ids(token_ids), len(token_ids), **known)

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The ids, in the order in which they came."""
        return unpack_ids(self.packed)

    def split(self, count: int) -> tuple[TokenGroup, TokenGroup | None]:
        """
        Take the first tokens out.

        :param count: How many, at most.
        :return: They, and the others; None where there are no others.
        """
        if count >= self.count:
            return self, None
        ids = self.token_ids
        first = replace(self, packed=pack_ids(ids[:count]), count=count)
        return first, replace(self, packed=pack_ids(ids[count:]), count=self.count - count)

    def to_list(self) -> list[Any]:
        """Give the group as JSON values."""
        return [self.packed, self.count, self.asked_at, self.queued_at, self.reason, self.is_final]


def judge(group: TokenGroup, metadata: TokenMetadata | None) -> TokenGroup:
    """
    Tell what an answer makes of a token.

    :param group: What was known of it.
    :param metadata: What the answer says of it; None: nothing.
    :return: What is known of it now. Without a reason it is refreshed, and proven: its metadata has no error and is
        newer than the task's first request for it, to the millisecond in which the service tells times.
    """
    if metadata is None:
        return _with_reason(group, MISSING, is_final=group.is_final)
    if metadata.error is not None:
        return _with_reason(group, metadata.error.value, is_final=metadata.error.is_final)
    is_proven = group.asked_at is not None and metadata.is_newer_than(_just_before(group.asked_at))
    return _with_reason(group, "" if is_proven else STALE, is_final=group.is_final)


def _with_reason(group: TokenGroup, reason: str, *, is_final: bool) -> TokenGroup:
    # Written out, because ``replace`` takes several times as long and this is done for each token.
    return TokenGroup(group.packed, group.count, group.asked_at, group.queued_at, reason, is_final)


@lru_cache(maxsize=64)
def _just_before(asked_at: float) -> DateTime:
    """
    Give the last moment before the millisecond of a request; the tokens of a call share theirs.

    The service cuts its times to milliseconds: a refresh right after the request would seem to come before it.
    """
    return DateTime.fromtimestamp(math.floor(asked_at * 1000) / 1000 - 1e-6, UTC)


def regroup(groups: Iterable[TokenGroup], known_of: Callable[[int, TokenGroup], TokenGroup]) -> list[TokenGroup]:
    """
    Put tokens together by what is known of them now.

    :param groups: The tokens.
    :param known_of: Gives what is known of a token now, from its id and its group.
    :return: The tokens anew.
    """
    found: defaultdict[TokenGroup, list[int]] = defaultdict(list)
    for group in groups:
        bare = replace(group, packed="", count=0)
        for token_id in group.token_ids:
            found[known_of(token_id, bare)].append(token_id)
    return [replace(known, packed=pack_ids(ids), count=len(ids)) for known, ids in found.items()]


def read_groups(value: Any) -> list[TokenGroup]:
    """
    Rebuild groups that crossed a process.

    :param value: A list of what ``TokenGroup.to_list`` gave.
    :return: The groups.
    """
    return [TokenGroup(*fields) for fields in value]


def count(groups: Iterable[TokenGroup]) -> int:
    """
    Count tokens.

    :param groups: The tokens.
    :return: Their number.
    """
    return sum(group.count for group in groups)
