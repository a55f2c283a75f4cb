# SPDX-License-Identifier: Apache-2.0
"""
What is told of a contract after a poll: one event for all that it announced, small enough for a database. No I/O.

Airflow logs each event of a trigger, sends it between processes and keeps it with the asset event. So the lists in it
are bounded, and token ids are texts: they have up to 78 digits, and no message format between processes takes such a
number. Their keys do not say "token": Airflow's web UI and REST API mask every text below a key that does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from airflow_provider_alchemy.api.chain_events import ChainLog, EventKind

MOST_LISTED = 1_000
"""Token ids, blocks, transactions and event ids that an event lists; beyond, ranges and counts tell."""

MOST_COUNTED = 2**53
"""Counts beyond are None: "every token that there may ever be", and no number that every JSON reader takes."""

_Ranges = list[tuple[int, int]]


def event_id(network: str, log: ChainLog) -> str:
    """
    Give the name of an announcement that is the same wherever and whenever it is told.

    :param network: The network's slug.
    :param log: The announcement.
    :return: ``network:transaction hash:log index``.
    """
    return f"{network}:{log.transaction_hash}:{log.log_index}"


def news_of(network: str, logs: Sequence[ChainLog]) -> dict[str, Any]:
    """
    Sum up what one contract announced.

    :param network: The network's slug.
    :param logs: What it announced, at least one, in the order of the chain.
    :return: ``network, contract_address, events`` (the kinds, as texts), ``ids`` (of tokens, texts, in order; None
        where there are more than 1,000), ``first_id, last_id, id_count`` (None where it is beyond 2**53), ``minted``
        (the same four of the minted tokens alone; None where none were minted), ``first_block, last_block,
        block_numbers, transaction_hashes, transaction_count, event_ids, event_count``. The lists of blocks and hashes
        have the first 1,000. Where there are more than 1,000 announcements, ``event_ids`` has one entry
        for each run of log indexes in a transaction, such as ``network:hash:0-999``.
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
        "block_numbers": blocks[:MOST_LISTED],
        "transaction_hashes": transactions[:MOST_LISTED],
        "transaction_count": len(transactions),
        "event_ids": _event_ids(network, logs),
        "event_count": len(logs),
    }


def news_by_contract(network: str, logs: Iterable[ChainLog]) -> Iterator[dict[str, Any]]:
    """
    Sum up what several contracts announced.

    :param network: The network's slug.
    :param logs: What they announced.
    :return: What ``news_of`` gives, contract by contract, in the order in which they began to speak.
    """
    told: dict[str, list[ChainLog]] = {}
    for log in sorted(logs):
        told.setdefault(log.contract_address, []).append(log)
    for contract_logs in told.values():
        yield news_of(network, contract_logs)


def _tokens(logs: Iterable[ChainLog]) -> dict[str, Any]:
    ranges = merged((log.first_token_id, log.last_token_id) for log in logs)
    count = sum(last - first + 1 for first, last in ranges)
    listed = (
        [str(token) for first, last in ranges for token in range(first, last + 1)] if count <= MOST_LISTED else None
    )
    return {
        "ids": listed,
        "first_id": str(ranges[0][0]),
        "last_id": str(ranges[-1][1]),
        "id_count": count if count <= MOST_COUNTED else None,
    }


def merged(ranges: Iterable[tuple[int, int]]) -> _Ranges:
    """
    Merge ranges of tokens that overlap or touch.

    :param ranges: First and last token of each.
    :return: The ranges, in order, none of which touches another.
    """
    result: _Ranges = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return result


def _event_ids(network: str, logs: Sequence[ChainLog]) -> list[str]:
    if len(logs) <= MOST_LISTED:
        return [event_id(network, log) for log in logs]
    runs = []
    for transaction, part in groupby(logs, key=lambda log: log.transaction_hash):
        for first, last in merged((log.log_index, log.log_index) for log in part):
            runs.append(f"{network}:{transaction}:{first}-{last}")
    return runs[:MOST_LISTED]
