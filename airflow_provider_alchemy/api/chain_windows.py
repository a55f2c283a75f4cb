# SPDX-License-Identifier: Apache-2.0
"""
Which blocks to ask for next, so that all who watch are served by the fewest calls. No I/O.

Each part of a watch needs the blocks from its own next one to the newest that is confirmed enough for it. The windows
begin at the earliest block that anybody needs, are as long as a call may be, and skip what nobody needs: no other
choice of windows covers these blocks in fewer calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_provider_alchemy.api.chain_events import EventKind


@dataclass(frozen=True, slots=True)
class Need:
    """
    Blocks that somebody needs to know.

    :param first_block: The first one.
    :param last_block: The last one.
    :param contracts: Of these contracts.
    :param kinds: What is looked for.
    """

    first_block: int
    last_block: int
    contracts: frozenset[str]
    kinds: frozenset[EventKind]


@dataclass(frozen=True, slots=True)
class Window:
    """
    What the next call asks for.

    :param first_block: The first block.
    :param last_block: The last block.
    :param contracts: The contracts, sorted.
    :param kinds: What is looked for.
    """

    first_block: int
    last_block: int
    contracts: tuple[str, ...]
    kinds: frozenset[EventKind]


def next_window(needs: Iterable[Need], most_blocks: int) -> Window | None:
    """
    Choose what to ask for next.

    :param needs: What is needed; a need whose last block is before its first is none.
    :param most_blocks: Blocks that a call may span.
    :return: The window; None where nothing is needed.
    """
    open_needs = [need for need in needs if need.first_block <= need.last_block]
    if not open_needs:
        return None
    first_block = min(need.first_block for need in open_needs)
    end = first_block + most_blocks - 1
    served = [need for need in open_needs if need.first_block <= end]
    return Window(
        first_block=first_block,
        last_block=min(end, max(need.last_block for need in served)),
        contracts=tuple(sorted(frozenset().union(*(need.contracts for need in served)))),
        kinds=frozenset().union(*(need.kinds for need in served)),
    )
