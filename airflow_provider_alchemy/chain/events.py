# SPDX-License-Identifier: Apache-2.0
"""
What contracts announce on the chain: how a log is read, and the payload of the event that Airflow gets. No I/O.

Metadata that changed is announced by ERC-4906 (``MetadataUpdate``, ``BatchMetadataUpdate``) and ERC-1155 (``URI``). A
mint is a transfer from the zero address: ``Transfer`` of ERC-721, ``TransferSingle`` and ``TransferBatch`` of ERC-1155,
``ConsecutiveTransfer`` of ERC-2309. A log's fields are those of the JSON-RPC method ``eth_getLogs``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from typing import Any, NamedTuple

from airflow_provider_alchemy.api.inputs import MAX_TOKEN_ID

METADATA_UPDATE = "0xf8e1a15aba9398e019f0b49df1a4fde98ee17ae345cb5f6b5e2c27f5033e8ce7"
BATCH_METADATA_UPDATE = "0x6bd5c950a8d8df17f772f5af37cb3655737899cbf903264b9795592da439661c"
URI = "0x6bb7ff708619ba0610cba295a58592e0451dee2622938c8755667688daf3529b"
TRANSFER = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
TRANSFER_SINGLE = "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"
TRANSFER_BATCH = "0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb"
CONSECUTIVE_TRANSFER = "0xdeaa91b6123d068f5821d0fb0678463d1a8a6079fe8af5de3ce5e896dcf9133d"
"""First topics: the hash of each event's signature."""

METADATA_EVENTS = (METADATA_UPDATE, BATCH_METADATA_UPDATE, URI)
MINT_EVENTS = (TRANSFER, TRANSFER_SINGLE, TRANSFER_BATCH, CONSECUTIVE_TRANSFER)

MAX_LISTED = 1_000
"""Token ids, blocks, transactions and event ids that a payload lists; beyond, it gives ranges and counts."""

MAX_COUNTED = 2**53
"""A larger count is None: "every token that there may ever be", and no number that every JSON reader takes."""

_WORD_BYTES, _WORD_DIGITS = 32, 64
"""A value of the ABI."""

_WORD = re.compile(r"0x[0-9a-fA-F]{64}")
_WORDS = re.compile(r"0x(?:[0-9a-fA-F]{64})*")
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
    oddity: str = field(default="", compare=False)
    """What a person should know of the contract; empty: nothing."""


def topics_of(kinds: Collection[EventKind]) -> list[list[str]]:
    """
    Give the filter on topics for ``eth_getLogs``: alternatives for the first position, which is the event.

    Transfers between owners come with mints. To leave them out would take two calls for each range, because the sender
    is another topic in ERC-721 than in ERC-1155 and ERC-2309, and a call costs the same whatever it finds. It would
    also leave out contracts that index no sender.
    """
    metadata = METADATA_EVENTS if EventKind.METADATA in kinds else ()
    return [[*metadata, *(MINT_EVENTS if EventKind.MINT in kinds else ())]]


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
    ranges, oddity = decode([int(topic, 16) for topic in topics[1:]], entry.get("data"))
    if not ranges:
        return None
    return ChainLog(
        block_number=int(_field(entry, "blockNumber", _QUANTITY), 16),
        log_index=int(_field(entry, "logIndex", _QUANTITY), 16),
        transaction_hash=_field(entry, "transactionHash", _WORD),
        contract_address=_field(entry, "address", _ADDRESS),
        kind=kind,
        token_ranges=ranges,
        oddity=oddity,
    )


class _Decoded(NamedTuple):
    """The tokens that an event announces, none where it announces nothing, and what is odd about it."""

    ranges: Ranges
    oddity: str = ""


_NOTHING = _Decoded(())


def _decode_update(indexed: list[int], data: Any) -> _Decoded:
    values = [*indexed, *_words(data)]  # some contracts index them, against the standard
    _require(len(values) == 1, "MetadataUpdate has another number of values than 1")
    return _Decoded(((values[0], values[0]),))


def _decode_batch_update(indexed: list[int], data: Any) -> _Decoded:
    values = [*indexed, *_words(data)]
    _require(len(values) == 2, "BatchMetadataUpdate has no first and last token")  # noqa: PLR2004 - from and to
    first, last = values
    if first <= last:
        return _Decoded(((first, last),))
    # Contracts without a token yet, and some that mean all tokens: something changed, and nothing else is sure.
    oddity = f"its BatchMetadataUpdate from {first} to {last} is upside down, and taken for the whole collection"
    return _Decoded(((0, MAX_TOKEN_ID),), oddity)


def _decode_uri(indexed: list[int], data: Any) -> _Decoded:  # noqa: ARG001 - the URI itself is not needed
    _require(len(indexed) == 1, "URI has no indexed token")
    return _Decoded(((indexed[0], indexed[0]),))


def _decode_transfer(indexed: list[int], data: Any) -> _Decoded:
    """Read ERC-721's from, to and token; contracts that are older than its final form index two of them, or none."""
    is_final = len(indexed) == 3  # noqa: PLR2004 - all of them
    if indexed and indexed[0] != 0:
        return _NOTHING
    values = indexed if is_final else [*indexed, *_words(data)]
    _require(len(values) == 3, "Transfer has no token")  # noqa: PLR2004
    sender, _, token = values
    if sender != 0:
        return _NOTHING
    oddity = "its Transfer has the token in the data, as before the final ERC-721; ERC-20 has an amount there"
    return _Decoded(((token, token),), "" if is_final else oddity)


def _decode_single(indexed: list[int], data: Any) -> _Decoded:
    """Read ERC-1155's operator, from, to, token and amount; an amount of 0 announces that the token exists."""
    if not _may_come_from_zero(indexed):
        return _NOTHING
    values = [*indexed, *_words(data)]
    _require(len(values) == 5, "TransferSingle has another number of values than 5")  # noqa: PLR2004
    _, sender, _, token, _ = values
    return _Decoded(((token, token),)) if sender == 0 else _NOTHING


def _decode_batch(indexed: list[int], data: Any) -> _Decoded:
    """Read ERC-1155's operator, from, to, tokens and amounts: the last two are lists of the same length."""
    if not _may_come_from_zero(indexed):
        return _NOTHING
    words = _words(data)
    in_data = 3 - len(indexed)  # of operator, from and to
    _require(0 <= in_data <= len(words), "TransferBatch has another number of values than 5")
    _, sender, _ = [*indexed, *words[:in_data]]
    if sender != 0:
        return _NOTHING
    tokens, amounts = (_list_at(words, place) for place in (in_data, in_data + 1))
    _require(len(tokens) == len(amounts), "TransferBatch has not as many amounts as tokens")
    return _Decoded(tuple(merge_ranges((token, token) for token in tokens)))


def _decode_consecutive(indexed: list[int], data: Any) -> _Decoded:
    """Read ERC-2309's first token, last token, from and to; all but the last token are indexed."""
    if not _may_come_from_zero(indexed):
        return _NOTHING
    values = [*indexed[:1], *_words(data), *indexed[1:]]
    has_all = len(values) == 4 and len(indexed) != 2  # noqa: PLR2004 - of 2 it is not known which
    _require(has_all, "ConsecutiveTransfer has another number of values than 4, or 2 of them indexed")
    first, last, sender, _ = values
    if sender != 0:
        return _NOTHING
    _require(first <= last, "ConsecutiveTransfer has its last token before the first")
    return _Decoded(((first, last),))


def _may_come_from_zero(indexed: list[int]) -> bool:
    """Whether an event may be a mint, of those whose second indexed value is the sender; it may not be indexed."""
    return len(indexed) < 2 or indexed[1] == 0  # noqa: PLR2004


_Decoder = Callable[[list[int], Any], _Decoded]
"""Takes an event's indexed values and its data."""

_DECODERS: dict[str, tuple[EventKind, _Decoder]] = {
    METADATA_UPDATE: (EventKind.METADATA, _decode_update),
    BATCH_METADATA_UPDATE: (EventKind.METADATA, _decode_batch_update),
    URI: (EventKind.METADATA, _decode_uri),
    TRANSFER: (EventKind.MINT, _decode_transfer),
    TRANSFER_SINGLE: (EventKind.MINT, _decode_single),
    TRANSFER_BATCH: (EventKind.MINT, _decode_batch),
    CONSECUTIVE_TRANSFER: (EventKind.MINT, _decode_consecutive),
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


def _words(data: Any) -> list[int]:
    """Give the 32-byte values in an event's data."""
    _require(_matches(_WORDS, data), "its data is no 32-byte values")
    return [int(data[at : at + _WORD_DIGITS], 16) for at in range(2, len(data), _WORD_DIGITS)]


def _list_at(words: list[int], place: int) -> list[int]:
    """Give a list of the ABI: its place holds where it begins, in bytes; there stand its length and its values."""
    _require(place < len(words), "it ends before its lists")
    start, rest = divmod(words[place], _WORD_BYTES)
    _require(rest == 0 and start < len(words), "a list begins outside its data")
    length = words[start]
    _require(length < len(words) - start, "a list is longer than its data")
    return words[start + 1 : start + 1 + length]


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
