# SPDX-License-Identifier: Apache-2.0
"""What a call of the node API asks about: blocks, contracts and topics, from the parameters of JSON-RPC.

Pure functions that read as strictly as a real node does: a client that writes a number in another form must fail here
already.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from airflow_provider_alchemy.testing.chain import ChainLog
from airflow_provider_alchemy.testing.checks import is_address

NEWEST: Final = None
"""In the place of a block's number: the newest one, whichever that is for the node that answers."""

MOST_TOPICS = 4
"""The most topics that a log has (Ethereum's virtual machine has no instruction for more)."""

_QUANTITY = re.compile(r"0x(?:0|[1-9a-f][0-9a-f]{0,15})", re.IGNORECASE)
_TOPIC = re.compile(r"0x[0-9a-f]{64}", re.IGNORECASE)
_TAGS = {"latest": NEWEST, "earliest": 0}


@dataclass(frozen=True, slots=True)
class AskedLogs:
    """The logs that a call of ``eth_getLogs`` asks for.

    :param first: the first block; None: the newest.
    :param last: the last one, which counts; None: the newest.
    :param addresses: the contracts, as asked; none: any.
    :param topics: what a log may have in each place, in lower case; an empty set: anything.
    :param refusal: the sentence with which a node refuses what was asked; None where it is well-formed.
    """

    first: int | None = NEWEST
    last: int | None = NEWEST
    addresses: tuple[str, ...] = ()
    topics: tuple[frozenset[str], ...] = ()
    refusal: str | None = None

    def blocks(self, newest: int) -> tuple[int, int]:
        """Give the numbers of the first and the last block, for a node with this newest one."""
        return newest if self.first is NEWEST else self.first, newest if self.last is NEWEST else self.last

    def select(self, logs: Iterable[ChainLog]) -> list[ChainLog]:
        """Give the logs that are of one of the contracts and have the topics; more topics do no harm."""
        contracts = {address.lower() for address in self.addresses}
        return [log for log in logs if (not contracts or log.contract_address in contracts) and self._has_topics(log)]

    def _has_topics(self, log: ChainLog) -> bool:
        return len(log.topics) >= len(self.topics) and all(
            not allowed or topic.lower() in allowed for allowed, topic in zip(self.topics, log.topics, strict=False)
        )


def read_asked_logs(params: object) -> AskedLogs:
    """Read the parameters of ``eth_getLogs``.

    :param params: the call's ``params``, whatever they are.
    :return: what is asked, or why it is refused.
    """
    try:
        if not isinstance(params, list) or len(params) != 1 or not isinstance(params[0], dict):
            return AskedLogs(refusal="missing value for required argument 0")
        asked = params[0]
        if "blockHash" in asked:
            return AskedLogs(refusal="invalid argument 0: the emulator knows no blockHash; give fromBlock and toBlock")
        first, last = (read_block(asked.get(field, "latest")) for field in ("fromBlock", "toBlock"))
        if first is not NEWEST and last is not NEWEST and first > last:
            return AskedLogs(refusal="invalid block range params")
        return AskedLogs(first, last, _read_addresses(asked.get("address")), _read_topics(asked.get("topics")))
    except ValueError as error:
        return AskedLogs(refusal=f"invalid argument 0: {error}")


def read_block(value: object) -> int | None:
    """Read the number of a block.

    :param value: ``0x`` and hex digits without leading zeros, ``latest`` or ``earliest``.
    :return: the number; None for the newest block.
    :raises ValueError: anything else.
    """
    if isinstance(value, str) and value in _TAGS:
        return _TAGS[value]
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        msg = "a block is a hex number without leading zeros, latest or earliest"
        raise ValueError(msg)
    return int(value, 16)


def _read_addresses(value: object) -> tuple[str, ...]:
    named = value if isinstance(value, list) else [] if value is None else [value]
    addresses = tuple(one for one in named if isinstance(one, str) and is_address(one))
    if len(addresses) < len(named):
        msg = "an address is 0x and 40 hex digits"
        raise ValueError(msg)
    return addresses


def _read_topics(value: object) -> tuple[frozenset[str], ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MOST_TOPICS:
        msg = f"topics are a list of at most {MOST_TOPICS}"
        raise ValueError(msg)
    return tuple(_read_alternatives(one) for one in value)


def _read_alternatives(value: object) -> frozenset[str]:
    named = value if isinstance(value, list) else [value]
    if None in named:
        return frozenset()
    topics = frozenset(one.lower() for one in named if isinstance(one, str) and _TOPIC.fullmatch(one))
    if not all(isinstance(one, str) and _TOPIC.fullmatch(one) for one in named):
        msg = "a topic is 0x and 64 hex digits"
        raise ValueError(msg)
    return topics
