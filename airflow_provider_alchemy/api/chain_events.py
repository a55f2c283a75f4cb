# SPDX-License-Identifier: Apache-2.0
"""
What a contract's log on the chain says: metadata changed, or a token was minted. No I/O.

The events are those of ERC-4906 (``MetadataUpdate``, ``BatchMetadataUpdate``), ERC-1155 (``URI``) and ERC-721
(``Transfer`` from the zero address, which is a mint); a log's fields are those of the JSON-RPC method ``eth_getLogs``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

METADATA_UPDATE = "0xf8e1a15aba9398e019f0b49df1a4fde98ee17ae345cb5f6b5e2c27f5033e8ce7"
BATCH_METADATA_UPDATE = "0x6bd5c950a8d8df17f772f5af37cb3655737899cbf903264b9795592da439661c"
URI = "0x6bb7ff708619ba0610cba295a58592e0451dee2622938c8755667688daf3529b"
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""First topics: the hash of each event's signature."""

NOBODY = "0x" + 64 * "0"
"""The zero address as a topic: who a minted token comes from."""

WORD_DIGITS = 64
"""A value of the ABI has 32 bytes."""

_WORD = re.compile(r"0x[0-9a-fA-F]{64}")
_WORDS = re.compile(r"0x(?:[0-9a-fA-F]{64}){0,2}")
"""Up to two values: these events have no more outside their topics."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,16}")
"""A number in JSON-RPC, of at most 64 bits."""


class EventKind(StrEnum):
    """What the chain announces about a collection."""

    METADATA = "metadata"
    """The metadata of tokens changed."""

    MINT = "mint"
    """A token was minted."""


class UnreadableLogError(ValueError):
    """A log entry that does not decode: its contract does not keep to the standard, or the answer is spoilt."""


@dataclass(frozen=True, slots=True, order=True)
class ChainLog:
    """
    One announcement of a contract on the chain. They sort as they stand on the chain.

    :param block_number: Its block.
    :param log_index: Its place among the block's logs.
    :param transaction_hash: Its transaction, ``0x`` and 64 digits in lower case.
    :param contract_address: The contract, in lower case.
    :param kind: What it announces.
    :param first_token_id: The first token that it is about.
    :param last_token_id: The last one; the same where it is about a single token.
    """

    block_number: int
    log_index: int
    transaction_hash: str
    contract_address: str
    kind: EventKind
    first_token_id: int
    last_token_id: int


def topics_of(kinds: Collection[EventKind]) -> list[list[str]]:
    """
    Give the filter on topics that finds events.

    :param kinds: What is looked for.
    :return: Alternatives for each position, as ``eth_getLogs`` takes them. Where mints are looked for together with
        other events, the transfers between owners come with them: one call for all costs less than two precise ones.
    """
    metadata = [METADATA_UPDATE, BATCH_METADATA_UPDATE, URI] if EventKind.METADATA in kinds else []
    if EventKind.MINT not in kinds:
        return [metadata]
    return [[*metadata, TRANSFER]] if metadata else [[TRANSFER], [NOBODY]]


def read_log(entry: Any) -> ChainLog | None:
    """
    Read an entry of an answer of ``eth_getLogs``.

    :param entry: The entry's JSON.
    :return: What it announces; None where it is none of the events, or was taken back by a reorganisation.
    :raises UnreadableLogError: It does not decode.
    """
    if not isinstance(entry, dict):
        msg = "it is no object"
        raise UnreadableLogError(msg)
    if entry.get("removed") is True:
        return None
    topics = entry.get("topics")
    if not isinstance(topics, list) or not topics or not all(_is(_WORD, topic) for topic in topics):
        msg = "its topics are no 32-byte values"
        raise UnreadableLogError(msg)
    reader = _READERS.get(topics[0].lower())
    if reader is None:
        return None
    event = reader(topics, entry.get("data"))
    if event is None:
        return None
    kind, first, last = event
    return ChainLog(
        block_number=int(_field(entry, "blockNumber", QUANTITY), 16),
        log_index=int(_field(entry, "logIndex", QUANTITY), 16),
        transaction_hash=_field(entry, "transactionHash", _WORD),
        contract_address=_field(entry, "address", _ADDRESS),
        kind=kind,
        first_token_id=first,
        last_token_id=last,
    )


_Event = tuple[EventKind, int, int]


def _read_update(topics: Sequence[str], data: Any) -> _Event:
    values = _values(topics, data)
    if len(values) != 1:
        msg = "MetadataUpdate has another number of values than 1"
        raise UnreadableLogError(msg)
    return EventKind.METADATA, values[0], values[0]


def _read_batch_update(topics: Sequence[str], data: Any) -> _Event:
    values = _values(topics, data)
    if len(values) != 2 or values[0] > values[1]:  # noqa: PLR2004 - from and to
        msg = "BatchMetadataUpdate has no first and last token"
        raise UnreadableLogError(msg)
    return EventKind.METADATA, values[0], values[1]


def _read_uri(topics: Sequence[str], data: Any) -> _Event:  # noqa: ARG001 - the URI itself is not needed
    if len(topics) != 2:  # noqa: PLR2004 - the signature and the token
        msg = "URI has no indexed token"
        raise UnreadableLogError(msg)
    token_id = int(topics[1], 16)
    return EventKind.METADATA, token_id, token_id


def _read_transfer(topics: Sequence[str], data: Any) -> _Event | None:  # noqa: ARG001 - it has no data
    if len(topics) > 1 and topics[1] != NOBODY:
        return None
    if len(topics) != 4:  # noqa: PLR2004 - the signature, from, to, the token
        msg = "Transfer has no indexed token, so it is none of ERC-721"
        raise UnreadableLogError(msg)
    token_id = int(topics[3], 16)
    return EventKind.MINT, token_id, token_id


_READERS: dict[str, Callable[[Sequence[str], Any], _Event | None]] = {
    METADATA_UPDATE: _read_update,
    BATCH_METADATA_UPDATE: _read_batch_update,
    URI: _read_uri,
    TRANSFER: _read_transfer,
}


def _is(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _field(entry: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not _is(pattern, value):
        msg = f"its {name} is {str(value)[:80]!r}"
        raise UnreadableLogError(msg)
    return value.lower()


def _values(topics: Sequence[str], data: Any) -> list[int]:
    """Give an event's 32-byte values; some contracts index them, against the standard."""
    if not _is(_WORDS, data):
        msg = "its data is no 32-byte values, or more than these events have"
        raise UnreadableLogError(msg)
    indexed = [int(topic, 16) for topic in topics[1:]]
    return indexed + [int(data[at : at + WORD_DIGITS], 16) for at in range(2, len(data), WORD_DIGITS)]
