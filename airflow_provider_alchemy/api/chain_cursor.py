# SPDX-License-Identifier: Apache-2.0
"""
How far watches have read the chain, as a value that is kept with the asset they speak for. No I/O.

One value holds the places of all watches of an asset, each under the name of what it looks for, so that a watch whose
arguments were changed goes on where its predecessor was: a contract that is new to it, or asked for with other
confirmations, begins where the watches of the asset have read it to. Contracts are kept as short fingerprints, those
that are at the same block together: five thousand of them take 40 kB, less than Airflow's limit for such a value.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

FINGERPRINT_DIGITS = 8

_BLOCK = re.compile(r"[0-9]{1,16}")

Places = dict[str, int]
"""The next block to read, by contract or by its fingerprint."""


def slot_of(network: str, kinds: Iterable[str], confirmations: int) -> str:
    """
    Name what a watch looks for.

    :param network: The network's slug.
    :param kinds: The kinds of event.
    :param confirmations: Blocks that must follow.
    :return: The same text for the same arguments.
    """
    return f"{network}/{'+'.join(sorted(kinds))}/{confirmations}"


@dataclass(slots=True)
class Cursor:
    """
    The places of all watches of an asset.

    :param slots: Next block by fingerprint of contract, by slot.
    """

    slots: dict[str, Places] = field(default_factory=dict)

    @classmethod
    def read(cls, value: Any) -> Cursor:
        """
        Read what was kept.

        :param value: What ``to_json`` gave; anything else is no place at all.
        :return: The places.
        """
        slots = value.get("slots") if isinstance(value, dict) else None
        told = slots if isinstance(slots, dict) else {}
        return cls({str(slot): _unpacked(groups) for slot, groups in told.items()})

    def to_json(self) -> dict[str, Any]:
        """
        Give what is kept.

        :return: JSON values.
        """
        return {"slots": {slot: _packed(places) for slot, places in self.slots.items()}}

    def places_of(self, slot: str, contracts: Iterable[str]) -> Places:
        """
        Give where a watch goes on.

        :param slot: What it looks for.
        :param contracts: Its contracts.
        :return: The next block of each contract that is known; those that are not are missing.
        """
        known: Places = {}
        for contract in contracts:
            fingerprint = _fingerprint(contract)
            place = self.slots.get(slot, {}).get(fingerprint) or self._inherited(slot, fingerprint)
            if place:
                known[contract] = place
        return known

    def _inherited(self, slot: str, fingerprint: str) -> int:
        """Give how far other watches have read for this one; 0 where none has."""
        network, wanted = _parts(slot)
        furthest: dict[str, int] = {}
        for name, places in self.slots.items():
            of_network, kinds = _parts(name)
            if of_network == network and fingerprint in places:
                furthest.update({kind: max(places[fingerprint], furthest.get(kind, 0)) for kind in kinds})
        # Two watches that were made one: what either has not read must not be left out. A kind that nobody looked for
        # begins with the others.
        known = [furthest[kind] for kind in wanted if kind in furthest]
        return min(known) if known else max(furthest.values(), default=0)

    def put(self, slot: str, places: Mapping[str, int]) -> None:
        """
        Take over how far a watch has read.

        :param slot: What it looks for.
        :param places: Its places, by contract. Those of other contracts in the slot stay.
        """
        self.slots.setdefault(slot, {}).update({_fingerprint(contract): block for contract, block in places.items()})


def _parts(slot: str) -> tuple[str, list[str]]:
    network, _, rest = slot.partition("/")
    return network, rest.partition("/")[0].split("+")


def _fingerprint(contract: str) -> str:
    return hashlib.sha256(contract.encode()).hexdigest()[:FINGERPRINT_DIGITS]


def _packed(places: Places) -> dict[str, str]:
    groups: dict[int, list[str]] = {}
    for fingerprint, block in places.items():
        groups.setdefault(block, []).append(fingerprint)
    return {str(block): "".join(sorted(fingerprints)) for block, fingerprints in sorted(groups.items())}


def _unpacked(groups: Any) -> Places:
    places: Places = {}
    for block, packed in groups.items() if isinstance(groups, dict) else ():
        if _BLOCK.fullmatch(str(block)) and isinstance(packed, str):
            for at in range(0, len(packed), FINGERPRINT_DIGITS):
                places[packed[at : at + FINGERPRINT_DIGITS]] = int(block)
    return places
