# SPDX-License-Identifier: Apache-2.0
"""
What a wait for new tokens has read of the chain: where it began, how far it is, which tokens were minted. No I/O.

It travels between processes many times, so the tokens are written as runs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Self

from airflow_provider_alchemy.api.inputs import pack_ids, unpack_ids
from airflow_provider_alchemy.api.records import WaitRecord
from airflow_provider_alchemy.chain.block_search import BlockSearch


@cache
def _search() -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415 - no DAG file needs it

    return TypeAdapter(BlockSearch | None)


_NOT_KEPT = frozenset({"course", "reported_state", "already_finished", "resubmits"})
"""What a wait for the end of a refresh knows, and this one has no use for."""


@dataclass(slots=True, kw_only=True)
class MintRecord(WaitRecord):
    """
    What a wait for new tokens has seen so far.

    :param asked_block: The block that the task names as the first one; None: it names none.
    :param asked_moment: The moment that it names instead (ISO 8601); empty: none.
    :param search: How far the search for the block of that moment is; None: there is none to search.
    :param since_block: The first block that counts; None: not known yet.
    :param next_block: The next block to read; what is before it was read, from ``since_block`` on.
    :param ids: The tokens that were minted in what was read.
    :param is_behind: Whether the last look ended before it had read all that was confirmed.
    """

    asked_block: int | None = None
    asked_moment: str = ""
    search: BlockSearch | None = None
    since_block: int | None = None
    next_block: int = 0
    ids: set[int] = field(default_factory=set)
    is_behind: bool = False

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
            known["ids"] = set(unpack_ids(known.get("ids", "")))
            known["search"] = _search().validate_python(known.get("search"))
            return cls(**known)
        except (AttributeError, TypeError, ValueError):
            return None

    def to_dict(self) -> dict[str, Any]:
        """Give the record as JSON values."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name not in _NOT_KEPT}
        values["ids"] = pack_ids(sorted(self.ids))
        values["search"] = _search().dump_python(self.search, mode="json")
        return values

    @property
    def until_block(self) -> int | None:
        """The last block that was read; None: none was."""
        is_read = self.since_block is not None and self.next_block > self.since_block
        return self.next_block - 1 if is_read else None

    def begin_at(self, block: int) -> None:
        """
        Set where the reading begins.

        :param block: The first block that counts.
        """
        self.since_block = self.next_block = block
        self.search = None

    def begin_anew(self) -> None:
        """Begin the wait anew, for a retry: what was read stays read."""
        self.state = None
        self.looks = self.failures = 0
        self.waiting_since, self.deadline, self.execution_deadline = "", None, None

    def result(self) -> dict[str, Any]:
        """
        Give what a task returns.

        :return: ``contract_address, network, state, progress, token_ids, token_count, since_block, until_block,
            next_block, submitted_at, finished_at, polls, compute_units``; times are ISO 8601 in UTC, token ids decimal
            texts in the order of their numbers.
        """
        return {
            "contract_address": self.contract_address,
            "network": self.network,
            "state": self.state,
            "progress": None,
            "token_ids": [str(token_id) for token_id in sorted(self.ids)],
            "token_count": len(self.ids),
            "since_block": self.since_block,
            "until_block": self.until_block,
            "next_block": self.next_block,
            "submitted_at": self.submitted_at,
            "finished_at": self.finished_at,
            "polls": self.polls,
            "compute_units": self.compute_units,
        }
