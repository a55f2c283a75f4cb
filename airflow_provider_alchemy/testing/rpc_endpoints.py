# SPDX-License-Identifier: Apache-2.0
"""The methods of the node API: what each of them answers, from the chain of the network that was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from airflow_provider_alchemy.testing.answers import Answer
from airflow_provider_alchemy.testing.asked_logs import NEWEST, AskedLogs, read_asked_logs, read_block
from airflow_provider_alchemy.testing.chain import Chain, ChainLog
from airflow_provider_alchemy.testing.rpc_answers import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    LIMIT_EXCEEDED,
    OK,
    PARSE_ERROR,
    result_answer,
    rpc_error,
)
from airflow_provider_alchemy.testing.settings import RangeRefusal, Settings

if TYPE_CHECKING:
    from airflow_provider_alchemy.testing.routing import ApiRequest
    from airflow_provider_alchemy.testing.state import ServiceState


class _Node(NamedTuple):
    """The node that answers a call: the chain, and the newest block that this node knows."""

    chain: Chain
    head: int


def block_number(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    """Answer ``eth_blockNumber``."""
    return result_answer(request, hex(_node(request, state, now).head))


def block_number_sample(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    """Answer ``eth_blockNumber`` by a node that is up to date."""
    return result_answer(request, hex(_sample_node(request, state, now).head))


def block_by_number(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    """Answer ``eth_getBlockByNumber``."""
    return _block(request, _node(request, state, now))


def block_by_number_sample(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    """Answer ``eth_getBlockByNumber`` by a node that is up to date."""
    return _block(request, _sample_node(request, state, now))


def logs(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    """Answer ``eth_getLogs``, or refuse it as the plan of the account says."""
    return _logs(request, _node(request, state, now), state.settings)


def logs_sample(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    """Answer ``eth_getLogs`` by a node that is up to date."""
    return _logs(request, _sample_node(request, state, now), state.settings)


def no_method(request: ApiRequest, _state: ServiceState, _now: float) -> Answer:
    """Refuse what is no call of a method that the emulator knows."""
    if request.body is None:
        return rpc_error(request, PARSE_ERROR, "Parse error")
    if request.rpc_method is None:
        return rpc_error(request, INVALID_REQUEST, "Invalid request")
    return rpc_error(request, INVALID_REQUEST, f"Unsupported method: {request.rpc_method}")


def _node(request: ApiRequest, state: ServiceState, now: float) -> _Node:
    settings = state.settings
    state.node_calls += 1
    chain = state.chains.get(request.network, settings, now)
    behind = settings.lag_blocks if state.node_calls % 2 == 0 else 0
    return _Node(chain, max(0, chain.newest - behind))


def _sample_node(request: ApiRequest, state: ServiceState, now: float) -> _Node:
    chain = state.chains.find(request.network, state.settings, now)
    return _Node(chain, chain.newest)


def _block(request: ApiRequest, node: _Node) -> Answer:
    params = request.rpc_params
    if not isinstance(params, list) or len(params) != 2 or not isinstance(params[1], bool):  # noqa: PLR2004 -- the method's two parameters
        return rpc_error(request, INVALID_PARAMS, "missing value for required argument 0 or 1")
    try:
        asked = read_block(params[0])
    except ValueError as error:
        return rpc_error(request, INVALID_PARAMS, f"invalid argument 0: {error}")
    number = node.head if asked is NEWEST else asked
    if number > node.head:
        return result_answer(request, None)
    chain = node.chain
    return result_answer(
        request,
        {
            "number": hex(number),
            "hash": chain.block_hash(number),
            "parentHash": chain.block_hash(number - 1) if number else f"0x{0:064x}",
            "timestamp": hex(chain.mined_at(number)),
            "transactions": [],
        },
    )


def _logs(request: ApiRequest, node: _Node, settings: Settings) -> Answer:
    asked = request.asked_logs or read_asked_logs(None)
    if asked.refusal is not None:
        return rpc_error(request, INVALID_PARAMS, asked.refusal)
    if settings.max_addresses is not None and len(asked.addresses) > settings.max_addresses:
        return rpc_error(request, INVALID_PARAMS, "too many addresses")
    first, last = asked.blocks(node.head)
    if settings.max_block_range is not None and last - first >= settings.max_block_range:
        return _too_wide(request, first, settings.max_block_range, settings.range_refusal)
    found, gone = _find(asked, node, removed=settings.removed_logs)
    if settings.max_logs is not None and len(found) + len(gone) > settings.max_logs:
        return _too_many(request, first, [*found, *gone], settings.max_logs, settings.range_refusal)
    entries = [_entry(log, node.chain, removed=True) for log in gone]
    return result_answer(request, entries + [_entry(log, node.chain, removed=False) for log in found])


def _find(asked: AskedLogs, node: _Node, *, removed: bool) -> tuple[list[ChainLog], list[ChainLog]]:
    first, last = asked.blocks(node.head)
    last = min(last, node.head)
    gone = asked.select(node.chain.gone_between(first, last)) if removed else []
    return asked.select(node.chain.between(first, last)), gone


def _too_wide(request: ApiRequest, first: int, most: int, form: RangeRefusal) -> Answer:
    if form is RangeRefusal.PLAIN:
        return rpc_error(request, INVALID_PARAMS, "block range is too wide")
    if form is RangeRefusal.OK:
        return rpc_error(request, LIMIT_EXCEEDED, "query exceeds max block range", OK)
    sentence = (
        f"Under the Free tier plan, you can make eth_getLogs requests with up to a {most} block range."
        f" Based on your parameters, this block range should work: {_range(first, first + most - 1)}."
        " Upgrade to PAYG for expanded block range."
    )
    return rpc_error(request, INVALID_REQUEST, sentence)


def _too_many(request: ApiRequest, first: int, found: Sequence[ChainLog], most: int, form: RangeRefusal) -> Answer:
    sentence = (
        "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the"
        " response size, or you can request any block range with a cap of 10K logs in the response."
    )
    if form is RangeRefusal.HINT:
        # Up to the block before the one that holds the first log too many; a block that is too full alone stays.
        too_many = sorted(log.block_number for log in found)[most]
        fitting = _range(first, max(first, too_many - 1))
        sentence += f" Based on your parameters and the response size limit, this block range should work: {fitting}"
    return rpc_error(request, INVALID_PARAMS, sentence)


def _range(first: int, last: int) -> str:
    return f"[{first:#x}, {last:#x}]"


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
