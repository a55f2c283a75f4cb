# SPDX-License-Identifier: Apache-2.0
"""
What is known of the freshness of some tokens, and what that means for the task that waits for it. No I/O.

It travels between processes many times, so tokens are named by their positions in the list, written as runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any, Self

from airflow_provider_alchemy.api.errors import (
    AlchemyError,
    AlchemyNoSuchCollectionError,
    AlchemyTokensFailedError,
)
from airflow_provider_alchemy.api.inputs import digest_of, pack_ids, unpack_ids
from airflow_provider_alchemy.api.models import MetadataError
from airflow_provider_alchemy.api.records import WaitRecord

NAMED_TOKENS = 5
"""How many tokens an error names for each reason."""

LISTED_FAILURES = 100
"""How many tokens a result names for each reason."""

LISTED_TOKENS = 1_000
"""How many of the tokens that were given a result names: its task knows them all."""

_FINAL = frozenset(error.value for error in MetadataError if error.is_final)
_NOT_KEPT = frozenset({"course", "reported_state", "already_finished", "resubmits"})
"""What a wait for the end of a refresh knows, and this one has no use for."""


@dataclass(frozen=True, slots=True)
class FreshCounts:
    """
    How the tokens are.

    :param tokens: How many there are.
    :param fresh: How many are proven to be newer than the moment.
    :param stale: How many are not, without an error.
    :param failed: How many have an error in place of new metadata.
    :param lost: How many of those have one that stays.
    """

    tokens: int
    fresh: int
    stale: int
    failed: int
    lost: int


@dataclass(slots=True, kw_only=True)
class FreshRecord(WaitRecord):
    """
    What a wait for fresh metadata has seen so far.

    :param fresh_since: What the metadata has to be newer than (ISO 8601).
    :param seed: The sample's seed; None: the tokens were given.
    :param sample_size: How many tokens were to be sampled; None: the tokens were given.
    :param ids: The tokens; None: not known yet, or left out on the way from a trigger.
    :param digest: Which tokens the positions mean.
    :param fresh: The positions of those that are proven.
    :param failed: The positions of those whose last answer had an error, by reason.
    :param next_position: Where the pass over the tokens goes on that was cut by a failed call; 0: a new one begins.
    """

    fresh_since: str = ""
    seed: int | None = None
    sample_size: int | None = None
    ids: tuple[int, ...] | None = None
    digest: str = ""
    fresh: set[int] = field(default_factory=set)
    failed: dict[str, set[int]] = field(default_factory=dict)
    next_position: int = 0

    @classmethod
    def read(cls, data: Any) -> Self | None:
        """
        Rebuild a record.

        :param data: What ``to_dict`` gave, perhaps of another version of this package.
        :return: The record, without values that this version does not know; None where it is no record.
        """
        if not isinstance(data, dict) or not isinstance(data.get("contract_address"), str):
            return None
        known = {item.name: data[item.name] for item in fields(cls) if item.name in data and item.name not in _NOT_KEPT}
        try:
            known["ids"] = None if known.get("ids") is None else unpack_ids(known["ids"])
            known["fresh"] = set(unpack_ids(known.get("fresh", "")))
            failed = known.get("failed", {})
            known["failed"] = {str(reason): set(unpack_ids(packed)) for reason, packed in failed.items()}
            return cls(**known)
        except (AttributeError, TypeError, ValueError):
            return None

    def to_dict(self, *, with_ids: bool = True) -> dict[str, Any]:
        """
        Give the record as JSON values.

        :param with_ids: Whether to write down the tokens too. Default True; where the reader knows them, they only
            make an event large.
        """
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in _NOT_KEPT}
        values["ids"] = pack_ids(self.ids) if with_ids and self.ids is not None else None
        values["fresh"] = pack_ids(sorted(self.fresh))
        values["failed"] = {reason: pack_ids(sorted(found)) for reason, found in self.failed.items() if found}
        return values

    @property
    def tokens(self) -> Sequence[int]:
        """The tokens, none where they are not known yet."""
        return self.ids or ()

    @property
    def is_sampled(self) -> bool:
        """Whether the tokens are a sample of the collection."""
        return self.sample_size is not None

    def choose(self, ids: Iterable[int]) -> None:
        """
        Set the tokens to wait for.

        :param ids: The tokens, each once.
        """
        self.ids = tuple(ids)
        self.digest = digest_of(self.ids)

    def to_ask(self) -> list[int]:
        """Give the positions that the pass over the tokens still has to ask for: not those that nothing can change."""
        over = self.fresh.union(*(found for reason, found in self.failed.items() if reason in _FINAL))
        return [place for place in range(self.next_position, len(self.tokens)) if place not in over]

    def take(self, position: int, error: MetadataError | None, *, is_fresh: bool) -> None:
        """
        Take what an answer says of a token.

        :param position: Which.
        :param error: Why it could not be refreshed.
        :param is_fresh: Whether the answer proves that it was.
        """
        for found in self.failed.values():
            found.discard(position)
        if is_fresh:
            self.fresh.add(position)
        elif error is not None:
            self.failed.setdefault(error.value, set()).add(position)

    def counts(self) -> FreshCounts:
        """Count the tokens."""
        tokens, fresh = len(self.tokens), len(self.fresh)
        failed = sum(map(len, self.failed.values()))
        lost = sum(len(found) for reason, found in self.failed.items() if reason in _FINAL)
        return FreshCounts(tokens, fresh, tokens - fresh - failed, failed, lost)

    def percent(self) -> float:
        """Give how many are proven, in percent, rounded down: 100 are all of them."""
        counts = self.counts()
        tenths = 1000 * counts.fresh // counts.tokens if counts.tokens else 1000
        return tenths // 10 if tenths % 10 == 0 else tenths / 10

    def begin_anew(self) -> None:
        """Begin the wait anew, for a retry: what was proven stays, and what failed may have been mended."""
        self.failed = {}
        self.next_position = 0
        self.state = None
        self.looks = self.failures = 0
        self.waiting_since, self.deadline, self.execution_deadline = "", None, None

    def result(self) -> dict[str, Any]:
        """
        Give what a task returns.

        :return: ``contract_address, network, state, progress, fresh_since, seed, token_ids, counts, failures,
            submitted_at, finished_at, polls, compute_units``; times are ISO 8601 in UTC, token ids decimal texts.
        """
        counts, tokens = self.counts(), self.tokens
        shown = tokens if self.is_sampled else tokens[:LISTED_TOKENS]
        return {
            "contract_address": self.contract_address,
            "network": self.network,
            "state": self.state,
            "progress": self.percent(),
            "fresh_since": self.fresh_since,
            "seed": self.seed,
            "token_ids": [str(token_id) for token_id in shown],
            "counts": {name: getattr(counts, name) for name in ("tokens", "fresh", "stale", "failed")},
            "failures": {
                reason: {
                    "tokens": len(found),
                    "token_ids": [str(tokens[place]) for place in sorted(found)[:LISTED_FAILURES]],
                }
                for reason, found in sorted(self.failed.items())
                if found
            },
            "submitted_at": self.submitted_at,
            "finished_at": self.finished_at,
            "polls": self.polls,
            "compute_units": self.compute_units,
        }

    def why_hopeless(self, min_fresh: float, subject: str) -> AlchemyError | None:
        """
        Tell whether so many tokens have an error that stays that the rest is too few.

        :param min_fresh: How many have to be fresh.
        :param subject: The collection and the connection, for people.
        :return: Why the wait fails; None: there is hope.
        """
        counts, needed = self.counts(), needed_of(min_fresh, len(self.tokens))
        if counts.tokens - counts.lost >= needed:
            return None
        if len(self.failed.get(MetadataError.NO_CODE, ())) == counts.tokens:
            msg = "Alchemy says of every token that the contract does not have any code"
            return AlchemyNoSuchCollectionError(msg, subject=subject)
        told = "; ".join(self._tell(reason) for reason in sorted(self.failed) if reason in _FINAL)
        what = (
            f"{counts.lost:,} of {counts.tokens:,} tokens have an error that stays, and min_fresh asks for {needed:,} "
            f"fresh ones: {told.removesuffix('; ')}"
        )
        advice = (
            "Have their contract or their metadata mended, leave them out of token_ids, or lower min_fresh: waiting "
            "longer cannot help"
        )
        return AlchemyTokensFailedError(what, subject=subject, advice=advice, is_permanent=True)

    def _tell(self, reason: str) -> str:
        found = sorted(self.failed[reason])
        named = ", ".join(str(self.tokens[place]) for place in found[:NAMED_TOKENS])
        more = f" and {len(found) - NAMED_TOKENS:,} more" if len(found) > NAMED_TOKENS else ""
        return f"{reason} {len(found):,} (token {named}{more})" if found else ""


def needed_of(min_fresh: float, tokens: int) -> int:
    """
    Tell how many tokens have to be fresh.

    :param min_fresh: An int is their number (all, where there are fewer), a float from 0 to 1 their share.
    :param tokens: How many there are.
    :return: Their number.
    """
    # As the decimal that somebody wrote: 0.29 of 100 is 29, which the product of two floats is not.
    share = min_fresh if isinstance(min_fresh, int) else math.ceil(Fraction(str(min_fresh)) * tokens)
    return min(share, tokens)
