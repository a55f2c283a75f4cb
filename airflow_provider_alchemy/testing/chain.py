# SPDX-License-Identifier: Apache-2.0
"""The blockchain of one network, as a function of time: its blocks, its logs, and what reorganisations took away.

Nothing runs in the background and nothing is kept of an empty block: blocks come in stretches of equal pace, and their
hashes are computed on demand. The events are written from the standards (ERC-4906, 721, 1155 and 2309), and not from
code that reads such logs elsewhere in this package: a mistake there must not be repeated here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from math import inf
from operator import attrgetter
from typing import Literal, NamedTuple

METADATA_UPDATE = "0xf8e1a15aba9398e019f0b49df1a4fde98ee17ae345cb5f6b5e2c27f5033e8ce7"
BATCH_METADATA_UPDATE = "0x6bd5c950a8d8df17f772f5af37cb3655737899cbf903264b9795592da439661c"
URI = "0x6bb7ff708619ba0610cba295a58592e0451dee2622938c8755667688daf3529b"
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TRANSFER_SINGLE = "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"
TRANSFER_BATCH = "0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"
CONSECUTIVE_TRANSFER = "0xdeaa91b6123d068f5821d0fb0678463d1a8a6079fe8af5de3ce5e896dcf9133d"
"""First topics: the Keccak-256 hash of each event's signature."""

WORD_BYTES = 32
Mint = Literal["Transfer", "TransferSingle", "TransferBatch", "ConsecutiveTransfer"]
_block_number_of = attrgetter("block_number")


class RawLog(NamedTuple):
    """One log before it has a place on the chain; the address is in lower case."""

    contract_address: str
    topics: tuple[str, ...]
    data: str = "0x"


def event(address: str, topic: str, *, indexed: Iterable[int] = (), words: Iterable[int] = ()) -> RawLog:
    """Write an event's log: the indexed words go into the topics, the others into the data."""
    data = "".join(f"{word:064x}" for word in words)
    return RawLog(address, (topic, *(f"0x{word:064x}" for word in indexed)), f"0x{data}")


def mint_events(address: str, name: Mint, ids: Sequence[int], owner: int) -> list[RawLog]:
    """Write the logs of a mint: one for each token, or, of the last two events, one for all."""
    parties, count = [owner, 0, owner], len(ids)
    if name == "TransferSingle":
        return [event(address, TRANSFER_SINGLE, indexed=parties, words=[one, 1]) for one in ids]
    if name == "TransferBatch":
        lists = [64, 96 + WORD_BYTES * count, count, *ids, count, *[1] * count]
        return [event(address, TRANSFER_BATCH, indexed=parties, words=lists)]
    if name == "ConsecutiveTransfer":
        return [event(address, CONSECUTIVE_TRANSFER, indexed=[one, 0, owner], words=ids[-1:]) for one in ids[:1]]
    return [event(address, TRANSFER, indexed=[0, owner, one]) for one in ids]


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


class Chain:
    """The chain of one network; hashes come from the seed, so that a test repeats."""

    def __init__(self, network: str, seed: int, newest: int, past_seconds: float, now: float) -> None:
        self._name = f"{seed}/{network}"
        self._network = network
        self._since = now
        self.newest = newest
        # The first block of each stretch, its time, and the seconds between two blocks.
        self._stretches = [(0, now - newest * past_seconds, past_seconds)]
        # From which block on the blocks are those of which reorganisation.
        self._forks = [(0, 0)]
        self._reorganisations = 0
        self._transactions = 0
        self.logs: list[ChainLog] = []
        self._removed: list[ChainLog] = []
        self._open: list[ChainLog] | None = None

    def advance(self, now: float, seconds: float | None) -> None:
        """Mine the blocks that are due; without a pace none is, and the next one's time counts from now on."""
        if seconds is None or self._open is not None:
            self._since = now
        elif (blocks := int((now - self._since) / seconds)) > 0:
            self._grow(blocks, self._since + seconds, seconds)
            self._since += blocks * seconds

    def mine(self, blocks: int, now: float) -> None:
        self._refuse_while_open()
        self._grow(blocks, now, 0.0)

    def open_block(self) -> int:
        """Begin a block that takes every new log until it is closed; time stands still until then."""
        self._refuse_while_open()
        self._open = []
        return self.newest + 1

    def close_block(self, now: float) -> None:
        self.logs += self._open or ()
        self._open, self._since = None, now
        self._grow(1, now, 0.0)

    def add(self, transactions: Iterable[Sequence[RawLog]], now: float) -> tuple[ChainLog, ...]:
        """Put the logs of some transactions into the open block, or into a new one that is mined at once."""
        named = []
        for raw_logs in transactions:
            self._transactions += 1
            named.append((self._hash(f"transaction/{self._transactions}"), raw_logs))
        logs = self._place(self.newest + 1, named, self._open or ())
        if self._open is not None:
            self._open += logs
        else:
            self.logs += logs
            self._grow(1, now, 0.0)
        return logs

    def reorganise(self, depth: int, *, keep_logs: bool) -> tuple[ChainLog, ...]:
        """Replace the newest blocks by as many others, with the same transactions in reverse order or without any."""
        self._refuse_while_open()
        if depth > self.newest:
            msg = f"depth must be at most {self.newest}, the number of blocks after the very first, not {depth}"
            raise ValueError(msg)
        first = self.newest - depth + 1
        removed = self.between(first, self.newest)
        del self.logs[len(self.logs) - len(removed) :]
        self._removed += removed
        self._reorganisations += 1
        del self._forks[bisect_left(self._forks, (first, 0)) :]
        self._forks.append((first, self._reorganisations))
        mined: list[ChainLog] = []
        for number, block in groupby(removed if keep_logs else (), _block_number_of):
            transactions = [
                (transaction, [RawLog(log.contract_address, log.topics, log.data) for log in logs])
                for transaction, logs in groupby(block, attrgetter("transaction_hash"))
            ]
            mined += self._place(number, transactions[::-1], ())
        self.logs += mined
        return tuple(mined)

    def between(self, first: int, last: int) -> list[ChainLog]:
        start = bisect_left(self.logs, first, key=_block_number_of)
        return self.logs[start : bisect_right(self.logs, last, lo=start, key=_block_number_of)]

    def removed_between(self, first: int, last: int) -> list[ChainLog]:
        return [log for log in self._removed if first <= log.block_number <= last]

    def mined_at(self, number: int) -> int:
        """Give the time of a block in whole seconds since the epoch; before the epoch there is none but 0."""
        first, at, seconds = self._stretches[bisect_right(self._stretches, (number, inf)) - 1]
        return max(0, int(at + (number - first) * seconds))

    def block_hash(self, number: int) -> str:
        _, reorganisation = self._forks[bisect_right(self._forks, (number, inf)) - 1]
        return self._hash(f"block/{number}/{reorganisation}")

    def _refuse_while_open(self) -> None:
        if self._open is not None:
            msg = f"A block of {self._network} is open: this must wait until it is mined"
            raise ValueError(msg)

    def _grow(self, blocks: int, at: float, seconds: float) -> None:
        self._stretches.append((self.newest + 1, at, seconds))
        self.newest += blocks

    def _place(
        self, number: int, transactions: Sequence[tuple[str, Sequence[RawLog]]], before: Sequence[ChainLog]
    ) -> tuple[ChainLog, ...]:
        block_hash, logs = self.block_hash(number), [*before]
        following = before[-1].transaction_index + 1 if before else 0
        for index, (transaction, raw_logs) in enumerate(transactions, following):
            for raw in raw_logs:
                place = (self._network, raw.contract_address, number, transaction, len(logs))
                logs.append(ChainLog(*place, raw.topics, raw.data, index, block_hash))
        return tuple(logs[len(before) :])

    def _hash(self, what: str) -> str:
        return "0x" + sha256(f"{self._name}/{what}".encode()).hexdigest()
