# SPDX-License-Identifier: Apache-2.0
"""
One who watches contracts on the chain: what it looks for, how far it has read, what it is told. No I/O.

A block counts for a watch when enough blocks follow it. Nothing nearer to the chain's end is read for it, so a log that
a reorganisation removes in between is never seen.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_alchemy.api.chain_cursor import Places
from airflow_provider_alchemy.api.chain_events import ChainLog, EventKind
from airflow_provider_alchemy.api.chain_news import news_by_contract
from airflow_provider_alchemy.api.chain_windows import Need

DEFAULT_CONFIRMATIONS = 12
"""Two and a half minutes of Ethereum: no longer reorganisation was seen there since it is proof of stake."""


class Watch:
    """
    One watch.

    :param contracts: The contracts, in lower case.
    :param kinds: What is looked for.
    :param deliver: Is given what was found.
    :param keep: Keeps how far the watch has read, once what was found before is safe, and gives whether it could;
        default: nobody does.
    :param confirmations: Blocks that must follow a block before it counts. Default 12.
    :param poll_interval_seconds: How often to look at the latest. Default 15, a little more than a block of Ethereum.
    :param places: The next block of each contract that an earlier process has read; default: none.
    :param start_block: Where other contracts begin; default: at the newest block.
    """

    def __init__(
        self,
        contracts: Iterable[str],
        kinds: Iterable[EventKind],
        deliver: Callable[[Find], None],
        *,
        keep: Callable[[Places], Awaitable[bool]] | None = None,
        confirmations: int = DEFAULT_CONFIRMATIONS,
        poll_interval_seconds: float = 15.0,
        places: Mapping[str, int] | None = None,
        start_block: int | None = None,
    ) -> None:
        self.contracts = tuple(contracts)
        self.kinds = frozenset(kinds)
        self.confirmations = confirmations
        self.poll_interval_seconds = poll_interval_seconds
        self._deliver = deliver
        self._keep = keep
        self._places: Places = dict(places or {})
        self._start_block = start_block
        self._found: list[ChainLog] = []
        self._told_at: float | None = None

    def needs(self, newest_block: int) -> list[Need]:
        """
        Give what it needs to know.

        :param newest_block: The newest block; where contracts without a place begin.
        :return: The needs, one for each place that it has contracts at.
        """
        at: dict[int, list[str]] = {}
        for contract in self.contracts:
            begins = newest_block if self._start_block is None else self._start_block
            at.setdefault(self._places.setdefault(contract, begins), []).append(contract)
        confirmed = newest_block - self.confirmations
        return [Need(place, confirmed, frozenset(contracts), self.kinds) for place, contracts in at.items()]

    def take(self, last_block: int, newest_block: int, logs: Mapping[str, Sequence[ChainLog]]) -> None:
        """
        Take what it needs of blocks that were read.

        :param last_block: The last block that was read; what the watch has not read before it is in ``logs``.
        :param newest_block: The newest block.
        :param logs: What was announced, by contract.
        """
        last = min(last_block, newest_block - self.confirmations)
        for contract, place in self._places.items():
            if place <= last:
                self._found += [
                    log
                    for log in logs.get(contract, ())
                    if place <= log.block_number <= last and log.kind in self.kinds
                ]
                self._places[contract] = last + 1

    def tell(self, network: str, now: float, keep_seconds: float) -> bool:
        """
        Deliver what was found; without anything found now and then the place alone, so that it can be kept.

        :param network: The network's slug.
        :param now: Monotonic seconds.
        :param keep_seconds: The longest time between two deliveries.
        :return: Whether there was anything to tell.
        """
        found, self._found = self._found, []
        is_due = self._told_at is None or now - self._told_at >= keep_seconds
        if not (found or is_due) or not self._places:
            return False
        self._told_at = now
        self._deliver(Find(self, list(news_by_contract(network, found)), dict(self._places)))
        return bool(found)

    async def keep(self, places: Places) -> None:
        """
        Keep how far the watch has read: what was found before is safe.

        :param places: The next block of each contract.
        """
        if self._keep is not None and not await self._keep(places):
            self.remind()

    def remind(self) -> None:
        """Have the place delivered again by the next poll: this time it could not be kept."""
        self._told_at = None


@dataclass(slots=True, eq=False)
class Find:
    """
    What a watch is told after a poll.

    :param watch: The watch.
    :param news: What was announced, one entry for each contract, as ``news_of`` gives it; empty: nothing.
    :param places: The next block of each contract, after this.
    :param is_told: Whether its receiver has passed all of it on.
    """

    watch: Watch
    news: list[dict[str, Any]]
    places: Places
    is_told: bool = False
