# SPDX-License-Identifier: Apache-2.0
"""The node API's methods: what they take and what they answer, from the chain of the network that was asked.

They read as strictly as a real node does: a client that writes a number in another form must fail here already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from airflow_provider_alchemy.testing.calls import UNKNOWN_ENDPOINT
from airflow_provider_alchemy.testing.chain import Chain, ChainLog
from airflow_provider_alchemy.testing.checks import is_address
from airflow_provider_alchemy.testing.exchange import (
    INVALID_REQUEST,
    LIMIT_EXCEEDED,
    OK,
    PARSE_ERROR,
    Answer,
    Asked,
    Endpoint,
    Exchange,
    Refused,
    json_answer,
)
from airflow_provider_alchemy.testing.routing import ApiRequest

NEWEST: Final = None
"""In the place of a block's number: the newest one."""

MAX_TOPICS = 4
"""The most topics that a log has (Ethereum's virtual machine has no instruction for more)."""

_QUANTITY = re.compile(r"0x(?:0|[1-9a-f][0-9a-f]{0,15})", re.IGNORECASE)
_TOPIC = re.compile(r"0x[0-9a-f]{64}", re.IGNORECASE)
_TAGS = {"latest": NEWEST, "earliest": 0}


def read_block(value: object) -> int | None:
    """Read the number of a block: hex digits without leading zeros, ``latest`` (None) or ``earliest``."""
    if isinstance(value, str) and value in _TAGS:
        return _TAGS[value]
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        msg = "invalid argument 0: a block is a hex number without leading zeros, latest or earliest"
        raise Refused(msg)
    return int(value, 16)


def read_logs(request: ApiRequest) -> Asked:
    params = request.rpc_params
    if not isinstance(params, list) or len(params) != 1 or not isinstance(params[0], dict):
        msg = "missing value for required argument 0"
        raise Refused(msg)
    asked = params[0]
    if "blockHash" in asked:
        msg = "invalid argument 0: the emulator knows no blockHash; give fromBlock and toBlock"
        raise Refused(msg)
    first, last = (read_block(asked.get(name, "latest")) for name in ("fromBlock", "toBlock"))
    if first is not NEWEST and last is not NEWEST and first > last:
        msg = "invalid block range params"
        raise Refused(msg)
    contracts = _texts(asked.get("address"), is_address, "an address is 0x and 40 hex digits")
    topics = asked.get("topics") or []
    if not isinstance(topics, list) or len(topics) > MAX_TOPICS:
        msg = f"invalid argument 0: topics are a list of at most {MAX_TOPICS}"
        raise Refused(msg)
    return Asked(contracts=contracts, blocks=(first, last), topics=tuple(map(_topic, topics)))


def _topic(value: object) -> frozenset[str]:
    if isinstance(value, list) and None in value:
        return frozenset()
    return frozenset(_texts(value, _is_topic, "a topic is 0x and 64 hex digits"))


def _is_topic(value: object) -> bool:
    return isinstance(value, str) and _TOPIC.fullmatch(value) is not None


def _texts(value: object, is_right: Callable[[object], bool], rule: str) -> tuple[str, ...]:
    named: list[Any] = value if isinstance(value, list) else [] if value is None else [value]
    if not all(map(is_right, named)):
        msg = f"invalid argument 0: {rule}"
        raise Refused(msg)
    return tuple(text.lower() for text in named)


def read_block_number(request: ApiRequest) -> Asked:
    match request.rpc_params:
        case [number, bool()]:
            return Asked(block=read_block(number))
    msg = "missing value for required argument 0 or 1"
    raise Refused(msg)


def select(asked: Asked, logs: Iterable[ChainLog]) -> list[ChainLog]:
    """Give the logs that are of one of the contracts and have the topics; more topics do no harm."""
    contracts = frozenset(asked.contracts)
    return [
        log
        for log in logs
        if (not contracts or log.contract_address in contracts)
        and len(log.topics) >= len(asked.topics)
        and all(
            not allowed or topic.lower() in allowed for allowed, topic in zip(asked.topics, log.topics, strict=False)
        )
    ]


def _node(exchange: Exchange) -> tuple[Chain, int]:
    """Give the chain, and the newest block that the node which answers knows."""
    account, settings = exchange.account, exchange.settings
    chain = account.chains.get(exchange.request.network, settings, exchange.now, is_dry=exchange.is_dry)
    account.node_calls += 0 if exchange.is_dry else 1
    is_behind = not exchange.is_dry and account.node_calls % 2 == 0
    return chain, max(0, chain.newest - settings.lag_blocks) if is_behind else chain.newest


def _result(exchange: Exchange, result: object) -> Answer:
    return json_answer({"jsonrpc": "2.0", "id": exchange.request.rpc_id, "result": result})


def _block_number(exchange: Exchange) -> Answer:
    return _result(exchange, hex(_node(exchange)[1]))


def _block_by_number(exchange: Exchange) -> Answer:
    asked = exchange.asked.block
    chain, head = _node(exchange)
    number = head if asked is NEWEST else asked
    if number > head:
        return _result(exchange, None)
    return _result(
        exchange,
        {
            "number": hex(number),
            "hash": chain.block_hash(number),
            "parentHash": chain.block_hash(number - 1) if number else f"0x{0:064x}",
            "timestamp": hex(chain.mined_at(number)),
            "transactions": [],
        },
    )


def _logs(exchange: Exchange) -> Answer:
    asked, settings = exchange.asked, exchange.settings
    if settings.max_addresses is not None and len(asked.contracts) > settings.max_addresses:
        msg = "too many addresses"
        raise Refused(msg)
    chain, head = _node(exchange)
    first, last = (head if block is NEWEST else block for block in asked.blocks or ())
    if settings.max_block_range is not None and last - first >= settings.max_block_range:
        raise _too_wide(first, settings.max_block_range, settings.range_refusal)
    last = min(last, head)
    removed = select(asked, chain.removed_between(first, last)) if settings.removed_logs else []
    found = select(asked, chain.between(first, last))
    if settings.max_logs is not None and len(removed) + len(found) > settings.max_logs:
        raise _too_many(first, [*removed, *found], settings.max_logs, settings.range_refusal)
    entries = [_entry(log, chain, removed=True) for log in removed]
    return _result(exchange, entries + [_entry(log, chain, removed=False) for log in found])


def _too_wide(first: int, most: int, form: str) -> Refused:
    if form == "plain":
        return Refused("block range is too wide")
    if form == "ok":
        return Refused("query exceeds max block range", status=OK, code=LIMIT_EXCEEDED)
    sentence = (
        f"Under the Free tier plan, you can make eth_getLogs requests with up to a {most} block range."
        f" Based on your parameters, this block range should work: [{first:#x}, {first + most - 1:#x}]."
        " Upgrade to PAYG for expanded block range."
    )
    return Refused(sentence, code=INVALID_REQUEST)


def _too_many(first: int, found: Sequence[ChainLog], most: int, form: str) -> Refused:
    sentence = (
        "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the"
        " response size, or you can request any block range with a cap of 10K logs in the response."
    )
    if form == "hint":
        # Up to the block before the one that holds the first log too many; a block that is too full alone stays.
        last = max(first, sorted(log.block_number for log in found)[most] - 1)
        sentence += (
            " Based on your parameters and the response size limit, this block range should work:"
            f" [{first:#x}, {last:#x}]"
        )
    return Refused(sentence)


def _entry(log: ChainLog, chain: Chain, *, removed: bool) -> dict[str, object]:
    return {
        "address": log.contract_address,
        "topics": log.topics,
        "data": log.data,
        "blockNumber": hex(log.block_number),
        "transactionHash": log.transaction_hash,
        "transactionIndex": hex(log.transaction_index),
        "blockHash": log.block_hash,
        "logIndex": hex(log.log_index),
        "removed": removed,
        "blockTimestamp": hex(chain.mined_at(log.block_number)),
    }


def _no_method(exchange: Exchange) -> Answer:
    request = exchange.request
    if request.body is None:
        msg = "Parse error"
        raise Refused(msg, code=PARSE_ERROR)
    msg = f"Unsupported method: {request.name}" if request.name else "Invalid request"
    raise Refused(msg, code=INVALID_REQUEST)


def _method(
    name: str,
    units: int,
    answer: Callable[[Exchange], Answer],
    wrong_fields: Mapping[str, object],
    read: Callable[[ApiRequest], Asked] = lambda _request: Asked(),
    items_field: str | None = None,
) -> Endpoint:
    spared = frozenset({"unknown_state", "other_contract"})
    return Endpoint(name, "POST", units, units, read, answer, wrong_fields, frozenset(), items_field, spared)


NO_METHOD = _method(UNKNOWN_ENDPOINT, 0, _no_method, {})
"""What is asked of the node API and is no call of one of its methods."""

METHODS = (
    _method("eth_blockNumber", 10, _block_number, {"result": 5}),
    # Not a field of the logs: an answer without logs must have the wrong type too.
    _method("eth_getLogs", 75, _logs, {"result": {}}, read_logs, items_field="result"),
    _method("eth_getBlockByNumber", 20, _block_by_number, {"result": {"number": 5, "hash": []}}, read_block_number),
)
"""Prices from Alchemy's API reference, "Compute unit costs"."""
