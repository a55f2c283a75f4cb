# SPDX-License-Identifier: Apache-2.0
"""
What contracts announce on the chain: how a log is read, and the payload of the event that Airflow gets. No I/O.

The announcements are those of ERC-4906 (``MetadataUpdate``, ``BatchMetadataUpdate``), ERC-1155 (``URI``) and ERC-721
(``Transfer`` from the zero address, which is a mint); a log's fields are those of the JSON-RPC method ``eth_getLogs``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any

METADATA_UPDATE = "0xf8e1a15aba9398e019f0b49df1a4fde98ee17ae345cb5f6b5e2c27f5033e8ce7"
BATCH_METADATA_UPDATE = "0x6bd5c950a8d8df17f772f5af37cb3655737899cbf903264b9795592da439661c"
URI = "0x6bb7ff708619ba0610cba295a58592e0451dee2622938c8755667688daf3529b"
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""First topics: the hash of each event's signature."""

ZERO_ADDRESS = "0x" + 64 * "0"
"""As a topic: where a minted token comes from."""

MAX_LISTED = 1_000
"""Token ids, blocks, transactions and event ids that a payload lists; beyond, it gives ranges and counts."""

MAX_COUNTED = 2**53
"""A larger count is None: "every token that there may ever be", and no number that every JSON reader takes."""

_WORD_DIGITS = 64
"""A value of the ABI has 32 bytes."""

_WORD = re.compile(r"0x[0-9a-fA-F]{64}")
_WORDS = re.compile(r"0x(?:[0-9a-fA-F]{64}){0,2}")
"""Up to two values: these events have no more outside their topics."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,16}")
"""A number in JSON-RPC, of at most 64 bits."""

Ranges = tuple[tuple[int, int], ...]
"""Tokens, as the first and the last one of each range."""


class EventKind(StrEnum):
    """What the chain announces about a collection."""

    METADATA = "metadata"
    """The metadata of tokens changed."""

    MINT = "mint"
    """A token was minted."""


class UnreadableLogError(ValueError):
    """A log entry that does not decode: its contract does not keep to the standard, or the answer is broken."""


@dataclass(frozen=True, slots=True, order=True)
class ChainLog:
    """One announcement of a contract. They sort as they stand on the chain; hexadecimal digits are in lower case."""

    block_number: int
    log_index: int
    transaction_hash: str
    contract_address: str
    kind: EventKind
    token_ranges: Ranges


def topics_of(kinds: Collection[EventKind]) -> list[list[str]]:
    """
    Give the filter on topics for ``eth_getLogs``: alternatives for each position.

    Where mints are asked for together with other events, the transfers between owners come with them: one call for
    all costs less than two precise ones.
    """
    metadata = [METADATA_UPDATE, BATCH_METADATA_UPDATE, URI] if EventKind.METADATA in kinds else []
    if EventKind.MINT not in kinds:
        return [metadata]
    return [[*metadata, TRANSFER]] if metadata else [[TRANSFER], [ZERO_ADDRESS]]


def read_log(entry: Any) -> ChainLog | None:
    """Read an entry of an answer; None where it is no announcement, or was taken back by a reorganisation."""
    _require(isinstance(entry, dict), "it is no object")
    if entry.get("removed") is True:
        return None
    topics = entry.get("topics")
    are_words = isinstance(topics, list) and topics and all(_matches(_WORD, topic) for topic in topics)
    _require(are_words, "its topics are no 32-byte values")
    known = _DECODERS.get(topics[0].lower())
    if known is None:
        return None
    kind, decode = known
    ranges = decode([int(topic, 16) for topic in topics[1:]], entry.get("data"))
    if not ranges:
        return None
    return ChainLog(
        block_number=int(_field(entry, "blockNumber", _QUANTITY), 16),
        log_index=int(_field(entry, "logIndex", _QUANTITY), 16),
        transaction_hash=_field(entry, "transactionHash", _WORD),
        contract_address=_field(entry, "address", _ADDRESS),
        kind=kind,
        token_ranges=ranges,
    )


def _decode_update(indexed: list[int], data: Any) -> Ranges:
    values = _values(indexed, data)
    _require(len(values) == 1, "MetadataUpdate has another number of values than 1")
    return ((values[0], values[0]),)


def _decode_batch_update(indexed: list[int], data: Any) -> Ranges:
    values = _values(indexed, data)
    has_ends = len(values) == 2 and values[0] <= values[1]  # noqa: PLR2004 - from and to
    _require(has_ends, "BatchMetadataUpdate has no first and last token")
    return ((values[0], values[1]),)


def _decode_uri(indexed: list[int], data: Any) -> Ranges:  # noqa: ARG001 - the URI itself is not needed
    _require(len(indexed) == 1, "URI has no indexed token")
    return ((indexed[0], indexed[0]),)


def _decode_transfer(indexed: list[int], data: Any) -> Ranges:  # noqa: ARG001 - it has no data
    if indexed and indexed[0] != 0:
        return ()
    has_token = len(indexed) == 3  # noqa: PLR2004 - from, to, the token
    _require(has_token, "Transfer has no indexed token, so it is none of ERC-721")
    return ((indexed[2], indexed[2]),)


_Decoder = Callable[[list[int], Any], Ranges]
"""Takes an event's indexed values and its data; gives the tokens, none where it announces nothing."""

_DECODERS: dict[str, tuple[EventKind, _Decoder]] = {
    METADATA_UPDATE: (EventKind.METADATA, _decode_update),
    BATCH_METADATA_UPDATE: (EventKind.METADATA, _decode_batch_update),
    URI: (EventKind.METADATA, _decode_uri),
    TRANSFER: (EventKind.MINT, _decode_transfer),
}


def _require(condition: Any, problem: str) -> None:
    if not condition:
        raise UnreadableLogError(problem)


def _matches(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _field(entry: dict[str, Any], name: str, pattern: re.Pattern[str]) -> str:
    value = entry.get(name)
    _require(_matches(pattern, value), f"its {name} is {str(value)[:80]!r}")
    return str(value).lower()


def _values(indexed: list[int], data: Any) -> list[int]:
    """Give an event's 32-byte values; some contracts index them, against the standard."""
    _require(_matches(_WORDS, data), "its data is no 32-byte values, or more than these events have")
    return indexed + [int(data[at : at + _WORD_DIGITS], 16) for at in range(2, len(data), _WORD_DIGITS)]


def payloads_of(network: str, logs: Iterable[ChainLog]) -> list[dict[str, Any]]:
    """Give the payload of each contract that announced something, in the order of the first announcements."""
    by_contract: dict[str, list[ChainLog]] = {}
    for log in sorted(logs):
        by_contract.setdefault(log.contract_address, []).append(log)
    return [payload_of(network, contract_logs) for contract_logs in by_contract.values()]


def payload_of(network: str, logs: Sequence[ChainLog]) -> dict[str, Any]:
    """
    Sum up what one contract announced, at least one log, in the order of the chain; the README lists the keys.

    Airflow logs each event of a trigger, sends it between processes and keeps it with the asset event. So the lists
    are bounded, and token ids are texts: they have up to 78 digits, and no message format between processes takes such
    a number. The keys do not say "token": Airflow's web UI and REST API mask every text below a key that does.
    """
    mints = [log for log in logs if log.kind is EventKind.MINT]
    blocks = sorted({log.block_number for log in logs})
    transactions = list(dict.fromkeys(log.transaction_hash for log in logs))
    return {
        "network": network,
        "contract_address": logs[0].contract_address,
        "events": sorted({log.kind.value for log in logs}),
        **_tokens(logs),
        "minted": _tokens(mints) if mints else None,
        "first_block": blocks[0],
        "last_block": blocks[-1],
        "block_numbers": blocks[:MAX_LISTED],
        "transaction_hashes": transactions[:MAX_LISTED],
        "transaction_count": len(transactions),
        "event_ids": _event_ids(network, logs),
        "event_count": len(logs),
    }


def _tokens(logs: Iterable[ChainLog]) -> dict[str, Any]:
    ranges = merge_ranges(tokens for log in logs for tokens in log.token_ranges)
    count = sum(last - first + 1 for first, last in ranges)
    is_listed = count <= MAX_LISTED
    return {
        "ids": [str(token) for first, last in ranges for token in range(first, last + 1)] if is_listed else None,
        "first_id": str(ranges[0][0]),
        "last_id": str(ranges[-1][1]),
        "id_count": count if count <= MAX_COUNTED else None,
    }


def merge_ranges(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge ranges that overlap or touch; the result is in order."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _event_ids(network: str, logs: Sequence[ChainLog]) -> list[str]:
    """Name each log, the same wherever and whenever it is read; where there are many, runs of log indexes."""
    if len(logs) <= MAX_LISTED:
        return [f"{network}:{log.transaction_hash}:{log.log_index}" for log in logs]
    runs = []
    for transaction, part in groupby(logs, key=lambda log: log.transaction_hash):
        for first, last in merge_ranges((log.log_index, log.log_index) for log in part):
            runs.append(f"{network}:{transaction}:{first}-{last}")
    return runs[:MAX_LISTED]
