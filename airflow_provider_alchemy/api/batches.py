# SPDX-License-Identifier: Apache-2.0
"""
What is known of a batch: which of its contracts have ended and how, and what that means for its task. No I/O.

It travels between processes many times, and Airflow logs it, so contracts are named by their positions in the list
and these are written as bitmaps: ten thousand contracts fit in a few kilobytes.
"""

from __future__ import annotations

import base64
import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from fractions import Fraction
from typing import Any

import pendulum

from airflow_provider_alchemy.api.errors import (
    EXECUTION_TIMEOUT,
    QUEUE_FAILED,
    TIMEOUT,
    AlchemyContractsFailedError,
    AlchemyDeadlineError,
    AlchemyError,
    AlchemyExecutionDeadlineError,
    is_final,
    reason_of,
)
from airflow_provider_alchemy.api.records import read_moment

NAMED_FAILURES = 5
"""How many contracts an error names; all of them are in the task's result."""

_STILL_RUNNING = frozenset({TIMEOUT, EXECUTION_TIMEOUT})


class BatchEnd(StrEnum):
    """How a batch ended in the triggerer: the ``status`` of its event."""

    ENDED = "ended"
    """Every contract has ended, well or not."""

    STOPPED = "stopped"
    """The account or the connection is in trouble, so that nothing more was asked."""


@dataclass(slots=True, kw_only=True)
class BatchRecord:
    """
    What a batch has seen so far. Its times are ISO 8601, its contracts are positions in the batch's list.

    :param contracts: How many contracts there are.
    :param digest: Which list the positions mean (``ContractList.digest``).
    :param network: The network's slug.
    :param duplicates: How many more were named in the list.
    :param waiting_since: When this try began.
    :param submitted_at: When the first contract was asked for.
    :param finished_at: When the last one so far ended.
    :param deadline: When the batch gives up; None: never.
    :param execution_deadline: When the task's ``execution_timeout`` is over; None: never.
    :param polls: Requests made, those under way included.
    :param compute_units: Units billed for them.
    :param already_finished: How many were finished at their very first answer, perhaps by an earlier refresh.
    :param finished: Which have finished.
    :param failed: Which have failed, by reason.
    :param running: Which are known to run at Alchemy: their next answer is not their first.
    """

    contracts: int
    digest: str
    network: str
    duplicates: int = 0
    waiting_since: str = ""
    submitted_at: str | None = None
    finished_at: str | None = None
    deadline: str | None = None
    execution_deadline: str | None = None
    polls: int = 0
    compute_units: int = 0
    already_finished: int = 0
    finished: set[int] = field(default_factory=set)
    failed: dict[str, set[int]] = field(default_factory=dict)
    running: set[int] = field(default_factory=set)

    @classmethod
    def read(cls, data: Any) -> BatchRecord | None:
        """
        Rebuild a record.

        :param data: What ``to_dict`` gave, perhaps of another version of this package.
        :return: The record, without values that this version does not know; None where it is no record.
        """
        if not isinstance(data, dict):
            return None
        known = {item.name: data[item.name] for item in fields(cls) if item.name in data}
        try:
            size = int(known["contracts"])
            for name in ("finished", "running"):
                known[name] = _unpack(known.get(name, ""), size)
            failed = known.get("failed", {})
            known["failed"] = {str(reason): _unpack(packed, size) for reason, packed in failed.items()}
            return cls(**known)
        except (AttributeError, KeyError, TypeError, ValueError, zlib.error):
            return None

    def to_dict(self) -> dict[str, Any]:
        """Give the record as JSON values."""
        packed: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        for name in ("finished", "running"):
            packed[name] = _pack(packed[name], self.contracts)
        packed["failed"] = {reason: _pack(positions, self.contracts) for reason, positions in self.failed.items()}
        return packed

    @property
    def failures(self) -> int:
        """How many have failed."""
        return sum(map(len, self.failed.values()))

    @property
    def ended(self) -> int:
        """How many have ended."""
        return len(self.finished) + self.failures

    def not_ended(self) -> list[int]:
        """Give the positions that are still to be waited for."""
        over = self.finished.union(*self.failed.values())
        return [position for position in range(self.contracts) if position not in over]

    def finish(self, position: int, *, already_finished: bool) -> None:
        """
        Take the good end of a contract.

        :param position: Which.
        :param already_finished: Whether its very first answer told it.
        """
        self.running.discard(position)
        self.finished.add(position)
        self.already_finished += already_finished

    def fail(self, position: int, error: AlchemyError) -> None:
        """
        Take the bad end of a contract.

        :param position: Which.
        :param error: What went wrong.
        """
        reason = reason_of(error)
        if reason == QUEUE_FAILED or is_final(reason):
            self.running.discard(position)
        self.failed.setdefault(reason, set()).add(position)

    def for_next_try(self) -> BatchRecord:
        """
        Give what the task's next try begins with: it asks for all but those that need no second answer.

        :return: A record without deadlines, and without the failures that a retry may mend.
        """
        kept = {reason: set(positions) for reason, positions in self.failed.items() if is_final(reason)}
        return replace(self, failed=kept, waiting_since="", deadline=None, execution_deadline=None)

    def describe(self, source: str) -> str:
        """
        Name the batch, for people.

        :param source: Whose account, for example ``connection 'alchemy_default'``.
        :return: For example ``Batch of 1,000 contracts on eth-mainnet (connection 'alchemy_default')``.
        """
        return f"Batch of {self.contracts:,} contract{'s'[: self.contracts != 1]} on {self.network} ({source})"

    def tell(self) -> str:
        """Say how far the batch is, for people."""
        return (
            f"{self.ended:,} of {self.contracts:,} ended ({len(self.finished):,} finished, {self.failures:,} failed), "
            f"{self.polls:,} poll{'s'[: self.polls != 1]}, {self.compute_units:,} compute units"
        )

    def tell_the_end(self) -> str:
        """Say how the batch ended and how long this try took, for people."""
        since, now = read_moment(self.waiting_since), pendulum.now("UTC")
        return f"{self.tell()}, after {(now - (since or now)).total_seconds():,.1f} s"

    def result(self, addresses: Sequence[str], stopped_by: AlchemyError | None = None) -> dict[str, Any]:
        """
        Give what the task returns.

        :param addresses: The batch's contracts.
        :param stopped_by: What stopped the batch: the reason of those that have not ended.
        :return: ``network, counts, finished, failed, polls, compute_units, submitted_at, finished_at``.
        """
        failed = {reason: list(positions) for reason, positions in self.failed.items()}
        if stopped_by is not None:
            failed.setdefault(reason_of(stopped_by), []).extend(self.not_ended())
        listed = {reason: [addresses[at] for at in sorted(failed[reason])] for reason in sorted(failed)}
        listed = {reason: contracts for reason, contracts in listed.items() if contracts}
        return {
            "network": self.network,
            "counts": {
                "contracts": self.contracts,
                "finished": len(self.finished),
                "failed": sum(map(len, listed.values())),
                "already_finished": self.already_finished,
                "duplicates": self.duplicates,
            },
            "finished": [addresses[at] for at in sorted(self.finished)],
            "failed": listed,
            "polls": self.polls,
            "compute_units": self.compute_units,
            "submitted_at": self.submitted_at,
            "finished_at": self.finished_at,
        }

    def verdict(self, addresses: Sequence[str], max_failed: float, subject: str) -> AlchemyError | None:
        """
        Tell whether more contracts have failed than the task allows.

        :param addresses: The batch's contracts.
        :param max_failed: How many may fail: an int is their number, a float from 0 to 1 their share.
        :param subject: The batch, for people.
        :return: Why the task fails; None: it does not. It is a time-out where nothing else went wrong, and final
            where so many have failed for good that no retry can help.
        """
        allowed = allowed_failures(max_failed, self.contracts)
        if self.failures <= allowed:
            return None
        counts = {reason: len(self.failed[reason]) for reason in sorted(self.failed) if self.failed[reason]}
        told = ", ".join(f"{reason} {count:,}" for reason, count in counts.items())
        positions = sorted(set().union(*self.failed.values()))
        named = ", ".join(addresses[at] for at in positions[:NAMED_FAILURES])
        more = f" and {len(positions) - NAMED_FAILURES:,} more" if len(positions) > NAMED_FAILURES else ""
        what = (
            f"{self.failures:,} of {self.contracts:,} contracts failed ({told}), and max_failed allows {allowed:,}: "
            f"{named}{more}"
        )
        if sum(count for reason, count in counts.items() if is_final(reason)) > allowed:
            return AlchemyContractsFailedError(what, subject=subject, is_permanent=True)
        if counts.keys() <= _STILL_RUNNING:
            kind = AlchemyDeadlineError if TIMEOUT in counts else AlchemyExecutionDeadlineError
            advice = "The refreshes go on at Alchemy: raise the limit, or clear the task to join them again"
            return kind(what, subject=subject, advice=advice)
        return AlchemyContractsFailedError(what, subject=subject)


def allowed_failures(max_failed: float, contracts: int) -> int:
    """
    Tell how many contracts of a batch may fail.

    :param max_failed: An int is their number, a float their share.
    :param contracts: How many contracts there are.
    :return: Their number.
    """
    # As the decimal that somebody wrote: 0.29 of 100 is 29, which the product of two floats is not.
    return max_failed if isinstance(max_failed, int) else math.floor(Fraction(str(max_failed)) * contracts)


def _pack(positions: Iterable[int], size: int) -> str:
    bitmap = bytearray(-(-size // 8))
    for position in positions:
        bitmap[position >> 3] |= 1 << (position & 7)
    return base64.b64encode(zlib.compress(bytes(bitmap))).decode()


def _unpack(text: str, size: int) -> set[int]:
    if not text:
        return set()
    length = -(-size // 8)
    # One byte more than there may be, and no more: what claims to be a bitmap may be anything.
    bitmap = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), length + 1)
    positions = {at * 8 + bit for at, byte in enumerate(bitmap) for bit in range(8) if byte >> bit & 1}
    if len(bitmap) != length or max(positions, default=0) >= size:
        msg = f"these are no positions among {size}"
        raise ValueError(msg)
    return positions
