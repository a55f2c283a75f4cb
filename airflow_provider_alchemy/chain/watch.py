# SPDX-License-Identifier: Apache-2.0
"""
One watch: which blocks it needs, which announcements are new to it, and how far it has read each contract. No I/O.

A block counts for a watch when enough blocks follow it. Nothing nearer to the chain's end is read for it, so a log that
a reorganisation removes in between is never seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from airflow_provider_alchemy.chain.events import ChainLog, EventKind, payloads_of

Cursor = dict[str, int]
"""The next block to read, by contract."""


@dataclass(frozen=True, slots=True)
class Span:
    """Blocks, from the first to the last, and what is to be known of them."""

    first_block: int
    last_block: int
    contracts: frozenset[str]
    kinds: frozenset[EventKind]


class Watch:
    """Contracts that are watched; those that are not in ``cursor`` begin at ``start_block`` or the newest block."""

    def __init__(
        self,
        contracts: Iterable[str],
        kinds: Iterable[EventKind],
        *,
        confirmations: int,
        save: Callable[[Cursor], Awaitable[bool]] | None = None,
        poll_interval_seconds: float = 15.0,
        cursor: Mapping[str, int] | None = None,
        start_block: int | None = None,
    ) -> None:
        self.contracts = tuple(contracts)
        self.kinds = frozenset(kinds)
        self.confirmations = confirmations
        self.poll_interval_seconds = poll_interval_seconds
        self.cursor: Cursor = dict(cursor or {})
        self._save = save
        self._start_block = start_block
        self._logs: list[ChainLog] = []
        self._emitted_at: float | None = None

    def needs(self, newest_block: int) -> list[Span]:
        """Give what it needs to know, by the block that its contracts are at."""
        begin = newest_block if self._start_block is None else self._start_block
        by_block: dict[int, list[str]] = {}
        for contract in self.contracts:
            by_block.setdefault(self.cursor.setdefault(contract, begin), []).append(contract)
        confirmed = newest_block - self.confirmations
        return [Span(block, confirmed, frozenset(contracts), self.kinds) for block, contracts in by_block.items()]

    def add(self, last_block: int, newest_block: int, logs: Mapping[str, Sequence[ChainLog]]) -> None:
        last = min(last_block, newest_block - self.confirmations)
        for contract, block in self.cursor.items():
            if block <= last:
                self._logs += [
                    log
                    for log in logs.get(contract, ())
                    if block <= log.block_number <= last and log.kind in self.kinds
                ]
                self.cursor[contract] = last + 1

    def next_update(self, network: str, now: float, max_quiet_seconds: float) -> Update | None:
        """Give what is new; in a quiet time now and then an update without payloads, so that the cursor is saved."""
        is_due = self._emitted_at is None or now - self._emitted_at >= max_quiet_seconds
        if not (self._logs or is_due) or not self.cursor:
            return None
        logs, self._logs, self._emitted_at = self._logs, [], now
        return Update(self, payloads_of(network, logs), dict(self.cursor))

    async def save(self, cursor: Cursor) -> None:
        if self._save is not None and not await self._save(cursor):
            self.save_again()

    def save_again(self) -> None:
        """Have the next poll give an update again: this cursor could not be saved."""
        self._emitted_at = None


@dataclass(slots=True, eq=False)
class Update:
    """What is new to a watch: a payload for each contract, and the cursor that is right once these are stored."""

    watch: Watch
    payloads: list[dict[str, Any]]
    cursor: Cursor
    is_emitted: bool = False


_FINGERPRINT_DIGITS = 8


def slot_of(network: str, kinds: Iterable[str], confirmations: int) -> str:
    return f"{network}/{'+'.join(sorted(kinds))}/{confirmations}"


@dataclass(slots=True)
class AssetCursors:
    """
    How far all watches of an asset have read, as one value that is kept with the asset.

    A contract is kept as a short fingerprint, with all others that are at the same block: five thousand of them take
    40 kB, less than Airflow's limit for such a value.
    """

    slots: dict[str, dict[int, str]] = field(default_factory=dict)
    """Fingerprints by their next block, by slot."""

    @classmethod
    def from_json(cls, value: Any) -> AssetCursors:
        """Read what ``to_json`` gave; anything else holds no cursor."""
        try:
            cursors: AssetCursors = _adapter().validate_python(value)
        except ValueError:
            return cls()
        return cursors

    def to_json(self) -> Any:
        return _adapter().dump_python(self, mode="json")

    def cursor_of(self, slot: str, contracts: Iterable[str]) -> Cursor:
        """
        Give where a watch goes on, without contracts that are new to it.

        A contract that its slot does not have goes on where the asset's other watches of the network have read it to:
        arguments may have changed.
        """
        own = _by_fingerprint(self.slots.get(slot, {}))
        network, wanted, _ = slot.split("/")
        furthest: dict[str, dict[str, int]] = {}
        for name, at in self.slots.items():
            for kind in name.split("/")[1].split("+") if name.startswith(f"{network}/") else ():
                for fingerprint, block in _by_fingerprint(at).items():
                    blocks = furthest.setdefault(fingerprint, {})
                    blocks[kind] = max(block, blocks.get(kind, 0))
        cursor: Cursor = {}
        for contract in contracts:
            fingerprint = _fingerprint(contract)
            others = furthest.get(fingerprint, {})
            # Of two watches that were made one, what either has not read must not be left out.
            known = [others[kind] for kind in wanted.split("+") if kind in others] or list(others.values())
            if fingerprint in own or known:
                cursor[contract] = own[fingerprint] if fingerprint in own else min(known)
        return cursor

    def put(self, slot: str, cursor: Mapping[str, int]) -> None:
        """Take over how far a watch has read; other contracts in its slot stay."""
        blocks = _by_fingerprint(self.slots.get(slot, {}))
        blocks.update({_fingerprint(contract): block for contract, block in cursor.items()})
        packed: dict[int, list[str]] = {}
        for fingerprint, block in sorted(blocks.items()):
            packed.setdefault(block, []).append(fingerprint)
        self.slots[slot] = {block: "".join(fingerprints) for block, fingerprints in packed.items()}


@cache
def _adapter() -> Any:
    from pydantic import TypeAdapter  # noqa: PLC0415 - no DAG file needs it

    return TypeAdapter(AssetCursors)


def _fingerprint(contract: str) -> str:
    return hashlib.sha256(contract.encode()).hexdigest()[:_FINGERPRINT_DIGITS]


def _by_fingerprint(packed: Mapping[int, str]) -> dict[str, int]:
    return {
        fingerprints[at : at + _FINGERPRINT_DIGITS]: block
        for block, fingerprints in packed.items()
        if block >= 0
        for at in range(0, len(fingerprints), _FINGERPRINT_DIGITS)
    }
