# SPDX-License-Identifier: Apache-2.0
"""The blockchain of one network: blocks as a function of time, the logs in them, and what reorganisations took away.

Nothing runs in the background and nothing is kept of an empty block: blocks come in stretches of equal pace, and
their hashes are computed when somebody asks. The chain does no I/O and knows no clock: the time is given to it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from airflow_provider_alchemy.testing.chain_events import RawLog
from airflow_provider_alchemy.testing.settings import Settings

_block_number_of = attrgetter("block_number")
_first_of = attrgetter("first")

_PAST_SECONDS = 12.0
"""The time between two blocks of the past, where none comes by itself."""


@dataclass(frozen=True, slots=True)
class ChainLog:
    """One log in its place on the chain.

    :param network: the network's slug.
    :param contract_address: the contract that wrote it, in lower case.
    :param block_number: the block that holds it.
    :param transaction_hash: the transaction that made it.
    :param log_index: its place among the logs of its block, from 0 on.
    :param topics: its topics, the event's own first.
    :param data: what is not indexed, as ``0x`` and hex digits.
    :param transaction_index: its transaction's place in the block, from 0 on.
    :param block_hash: the hash of the block that holds it, which a reorganisation changes.
    """

    network: str
    contract_address: str
    block_number: int
    transaction_hash: str
    log_index: int
    topics: tuple[str, ...]
    data: str
    transaction_index: int
    block_hash: str

    @property
    def id(self) -> str:
        """What no other log of any network has, as long as no reorganisation puts it elsewhere."""
        return f"{self.network}:{self.transaction_hash}:{self.log_index}"


class _Stretch(NamedTuple):
    """Blocks of equal pace, up to the next stretch: the first one's number and time, and the seconds between two."""

    first: int
    at: float
    seconds: float


class _Fork(NamedTuple):
    """From which block on the blocks are those of a reorganisation, up to the next fork."""

    first: int
    number: int


class Chain:
    """The chain of one network.

    :param network: the network's slug.
    :param seed: what the hashes are computed from, so that a test repeats.
    :param newest: the number of the newest block at first.
    :param past_seconds: the time between two blocks of the past.
    :param now: seconds since the epoch: the time of the newest block.
    """

    def __init__(self, network: str, seed: int, newest: int, past_seconds: float, now: float) -> None:
        self._name = f"{seed}/{network}"
        self._network = network
        self._since = now
        self.newest = newest
        self._stretches = [_Stretch(0, now - newest * past_seconds, past_seconds)]
        self._forks = [_Fork(0, 0)]
        self._reorganisations = 0
        self._transactions = 0
        self._logs: list[ChainLog] = []
        self._gone: list[ChainLog] = []
        self._open: list[ChainLog] | None = None

    @property
    def logs(self) -> tuple[ChainLog, ...]:
        """The logs that are on the chain now, in its order."""
        return tuple(self._logs)

    def advance(self, now: float, seconds: float | None) -> None:
        """Mine the blocks that are due.

        :param now: seconds since the epoch.
        :param seconds: the time between two blocks; None: no block is due, and the next one's time counts from now on.
        """
        if seconds is None or self._open is not None:
            self._since = now
        elif (blocks := int((now - self._since) / seconds)) > 0:
            self._grow(blocks, self._since + seconds, seconds)
            self._since += blocks * seconds

    def mine(self, blocks: int, now: float) -> None:
        """Mine empty blocks at once.

        :param blocks: how many.
        :param now: seconds since the epoch, the time of all of them.
        :raises ValueError: a block is open.
        """
        self._refuse_while_open()
        self._grow(blocks, now, 0.0)

    def open_block(self) -> int:
        """Begin a block that takes every new log until it is closed; time stands still until then.

        :return: the number that it will have.
        :raises ValueError: another block is open.
        """
        self._refuse_while_open()
        self._open = []
        return self.newest + 1

    def close_block(self, now: float) -> None:
        """Mine the open block.

        :param now: seconds since the epoch, the time of the block.
        """
        self._logs += self._open or ()
        self._open, self._since = None, now
        self._grow(1, now, 0.0)

    def add(self, transactions: Iterable[Sequence[RawLog]], now: float) -> tuple[ChainLog, ...]:
        """Put logs into the open block, or into a new one that is mined at once.

        :param transactions: the logs of each transaction.
        :param now: seconds since the epoch.
        :return: the logs in their places.
        """
        before = () if self._open is None else self._open
        logs = self._place(self.newest + 1, [(self._new_transaction(), raw) for raw in transactions], before)
        if self._open is not None:
            self._open += logs
        else:
            self._logs += logs
            self._grow(1, now, 0.0)
        return logs

    def reorganise(self, depth: int, *, keep_logs: bool) -> tuple[ChainLog, ...]:
        """Replace the newest blocks by as many others.

        :param depth: how many.
        :param keep_logs: whether the transactions of each block are in its replacement, in reverse order, or vanish.
        :return: the logs in the new blocks.
        :raises ValueError: a block is open, or there are not so many blocks.
        """
        self._refuse_while_open()
        if depth > self.newest:
            msg = f"depth must be at most {self.newest}, the number of blocks after the very first, not {depth}"
            raise ValueError(msg)
        first = self.newest - depth + 1
        gone = self.between(first, self.newest)
        del self._logs[len(self._logs) - len(gone) :]
        self._gone += gone
        self._reorganisations += 1
        del self._forks[bisect_left(self._forks, first, key=_first_of) :]
        self._forks.append(_Fork(first, self._reorganisations))
        mined = [log for number, old in groupby(gone, _block_number_of) for log in self._mine_again(number, old)]
        self._logs += mined if keep_logs else ()
        return tuple(mined) if keep_logs else ()

    def between(self, first: int, last: int) -> Sequence[ChainLog]:
        """Give the logs of some blocks.

        :param first: the first block.
        :param last: the last one, which counts.
        :return: the logs in the order of the chain.
        """
        start = bisect_left(self._logs, first, key=_block_number_of)
        return self._logs[start : bisect_right(self._logs, last, lo=start, key=_block_number_of)]

    def gone_between(self, first: int, last: int) -> Sequence[ChainLog]:
        """Give the logs that reorganisations took away from some blocks, the first to go first; arguments as there."""
        return [log for log in self._gone if first <= log.block_number <= last]

    def mined_at(self, number: int) -> int:
        """Give the time of a block in whole seconds since the epoch; before the epoch there is none but 0."""
        stretch = self._stretches[bisect_right(self._stretches, number, key=_first_of) - 1]
        return max(0, int(stretch.at + (number - stretch.first) * stretch.seconds))

    def block_hash(self, number: int) -> str:
        """Give the hash of a block: no other block has it, also none that a reorganisation puts in its place."""
        fork = self._forks[bisect_right(self._forks, number, key=_first_of) - 1]
        return self._hash(f"block/{number}/{fork.number}")

    def _refuse_while_open(self) -> None:
        if self._open is not None:
            msg = f"A block of {self._network} is open: this must wait until it is mined"
            raise ValueError(msg)

    def _grow(self, blocks: int, at: float, seconds: float) -> None:
        self._stretches.append(_Stretch(self.newest + 1, at, seconds))
        self.newest += blocks

    def _new_transaction(self) -> str:
        self._transactions += 1
        return self._hash(f"transaction/{self._transactions}")

    def _mine_again(self, number: int, gone: Iterable[ChainLog]) -> tuple[ChainLog, ...]:
        transactions = [
            (transaction, [RawLog(log.contract_address, log.topics, log.data) for log in logs])
            for transaction, logs in groupby(gone, attrgetter("transaction_hash"))
        ]
        return self._place(number, transactions[::-1], ())

    def _place(
        self, number: int, transactions: Sequence[tuple[str, Sequence[RawLog]]], before: Sequence[ChainLog]
    ) -> tuple[ChainLog, ...]:
        block_hash, logs = self.block_hash(number), list[ChainLog]()
        following = before[-1].transaction_index + 1 if before else 0
        for index, (transaction, raw_logs) in enumerate(transactions, following):
            for raw in raw_logs:
                place = len(before) + len(logs)
                fields = (self._network, raw.contract_address, number, transaction, place, raw.topics, raw.data)
                logs.append(ChainLog(*fields, index, block_hash))
        return tuple(logs)

    def _hash(self, what: str) -> str:
        return "0x" + sha256(f"{self._name}/{what}".encode()).hexdigest()


class ChainBoard:
    """The chains by network; one begins when it is first asked for.

    :param seed: what the hashes are computed from.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._chains: dict[str, Chain] = {}

    def get(self, network: str, settings: Settings, now: float) -> Chain:
        """Give the chain of a network as it is now, to change it or to answer from it."""
        chain = self.find(network, settings, now)
        self._chains[network] = chain
        return chain

    def find(self, network: str, settings: Settings, now: float) -> Chain:
        """Give the chain of a network as it is now, to look at only: one that nobody asked for is not kept."""
        seconds = settings.seconds_between_blocks
        chain = self._chains.get(network)
        if chain is None:
            return Chain(network, self._seed, settings.first_block, seconds or _PAST_SECONDS, now)
        chain.advance(now, seconds)
        return chain

    def change_pace(self, before: Settings, after: Settings, now: float) -> None:
        """Mine what was due on every chain by the settings before, and count from now on by those after."""
        if before.seconds_between_blocks != after.seconds_between_blocks:
            for chain in self._chains.values():
                chain.advance(now, before.seconds_between_blocks)
                chain.advance(now, None)
