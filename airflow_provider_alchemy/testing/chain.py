# SPDX-License-Identifier: Apache-2.0
"""The blockchain of one network: blocks as a function of time, the logs in them, and what reorganisations took away.

Nothing runs in the background and nothing is kept of an empty block: blocks come in stretches of equal pace, and their
hashes are computed on demand. The events are written from the standards (ERC-4906, ERC-1155, ERC-721) and not from the
code that reads such logs elsewhere in this package: a mistake there must not be repeated here.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from airflow_provider_alchemy.testing.settings import Settings

METADATA_UPDATE = "0xf8e1a15aba9398e019f0b49df1a4fde98ee17ae345cb5f6b5e2c27f5033e8ce7"
BATCH_METADATA_UPDATE = "0x6bd5c950a8d8df17f772f5af37cb3655737899cbf903264b9795592da439661c"
URI = "0x6bb7ff708619ba0610cba295a58592e0451dee2622938c8755667688daf3529b"
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""First topics: the Keccak-256 hash of each event's signature."""

ZERO_ADDRESS = "0x" + "0" * 40
"""The sender of a minted token, and the receiver of a burned one."""

_WORD_BYTES = 32
_PAST_SECONDS = 12.0
"""The time between two blocks of the past, where none comes by itself."""

_block_number_of = attrgetter("block_number")
_first_of = attrgetter("first")


class RawLog(NamedTuple):
    """One log before it has a place on the chain; the address is in lower case."""

    contract_address: str
    topics: tuple[str, ...]
    data: str = "0x"


def metadata_update(address: str, token_id: int) -> RawLog:
    return RawLog(address, (METADATA_UPDATE,), f"0x{_word(token_id)}")


def batch_metadata_update(address: str, first_id: int, last_id: int) -> RawLog:
    return RawLog(address, (BATCH_METADATA_UPDATE,), f"0x{_word(first_id)}{_word(last_id)}")


def uri(address: str, token_id: int, value: str) -> RawLog:
    """Write ERC-1155's ``URI(string,uint256)``: the id is indexed, the text is not."""
    text = value.encode()
    padded = text + b"\0" * (-len(text) % _WORD_BYTES)
    return RawLog(address, (URI, f"0x{_word(token_id)}"), f"0x{_word(_WORD_BYTES)}{_word(len(text))}{padded.hex()}")


def transfer(address: str, token_id: int, sender: str, to: str) -> RawLog:
    """Write ERC-721's ``Transfer(address,address,uint256)``: all three are indexed; from zero it is a mint."""
    return RawLog(address, (TRANSFER, *(f"0x{_word(int(who, 16))}" for who in (sender, to)), f"0x{_word(token_id)}"))


def _word(number: int) -> str:
    return f"{number:064x}"


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
    """Blocks of equal pace, up to the next stretch."""

    first: int
    at: float
    seconds: float


class _Fork(NamedTuple):
    """From which block on the blocks are those of a reorganisation, up to the next fork."""

    first: int
    number: int


class Chain:
    """The chain of one network; hashes come from the seed, so that a test repeats."""

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
        self._removed: list[ChainLog] = []
        self._open: list[ChainLog] | None = None

    @property
    def logs(self) -> tuple[ChainLog, ...]:
        return tuple(self._logs)

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
        self._logs += self._open or ()
        self._open, self._since = None, now
        self._grow(1, now, 0.0)

    def add(self, transactions: Iterable[Sequence[RawLog]], now: float) -> tuple[ChainLog, ...]:
        """Put the logs of some transactions into the open block, or into a new one that is mined at once."""
        before = () if self._open is None else self._open
        logs = self._place(self.newest + 1, [(self._new_transaction(), raw) for raw in transactions], before)
        if self._open is not None:
            self._open += logs
        else:
            self._logs += logs
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
        del self._logs[len(self._logs) - len(removed) :]
        self._removed += removed
        self._reorganisations += 1
        del self._forks[bisect_left(self._forks, first, key=_first_of) :]
        self._forks.append(_Fork(first, self._reorganisations))
        if not keep_logs:
            return ()
        mined = [log for number, old in groupby(removed, _block_number_of) for log in self._mine_again(number, old)]
        self._logs += mined
        return tuple(mined)

    def between(self, first: int, last: int) -> Sequence[ChainLog]:
        """Give the logs of some blocks in the order of the chain; the last block counts."""
        start = bisect_left(self._logs, first, key=_block_number_of)
        return self._logs[start : bisect_right(self._logs, last, lo=start, key=_block_number_of)]

    def removed_between(self, first: int, last: int) -> Sequence[ChainLog]:
        return [log for log in self._removed if first <= log.block_number <= last]

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

    def _mine_again(self, number: int, removed: Iterable[ChainLog]) -> tuple[ChainLog, ...]:
        transactions = [
            (transaction, [RawLog(log.contract_address, log.topics, log.data) for log in logs])
            for transaction, logs in groupby(removed, attrgetter("transaction_hash"))
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


class Chains:
    """The chains by network; one begins when it is first asked for."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._chains: dict[str, Chain] = {}

    def get(self, network: str, settings: Settings, now: float, *, is_dry: bool = False) -> Chain:
        """Give the chain of a network as it is now; a dry call begins none."""
        seconds = settings.seconds_between_blocks
        chain = self._chains.get(network)
        if chain is None:
            chain = Chain(network, self._seed, settings.first_block, seconds or _PAST_SECONDS, now)
            if not is_dry:
                self._chains[network] = chain
        chain.advance(now, seconds)
        return chain

    def change_pace(self, before: Settings, after: Settings, now: float) -> None:
        """Mine what was due on every chain by the settings before, and count from now on by those after."""
        if before.seconds_between_blocks != after.seconds_between_blocks:
            for chain in self._chains.values():
                chain.advance(now, before.seconds_between_blocks)
                chain.advance(now, None)
