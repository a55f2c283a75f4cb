# SPDX-License-Identifier: Apache-2.0
"""
The methods of Alchemy's node API that tell what happens on the chain: requests, prices, answers. No I/O.

They are JSON-RPC (the Ethereum JSON-RPC specification), on the same host, account and throughput as the NFT API.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import pendulum
from pendulum import DateTime

from airflow_provider_alchemy.api.chain_events import QUANTITY, EventKind, topics_of
from airflow_provider_alchemy.api.endpoints import Call, Endpoint, shown
from airflow_provider_alchemy.api.errors import AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.api.settings import ClientSettings


def _method(name: str, units: int) -> Endpoint:
    return Endpoint(name, "v2", compute_units=units, throughput_units=units, method="POST", is_rpc=True)


ETH_BLOCK_NUMBER = _method("eth_blockNumber", 10)
ETH_GET_LOGS = _method("eth_getLogs", 75)
"""Alchemy's documents say 60 and 75: the dearer, so that the budget holds."""
ETH_GET_BLOCK_BY_NUMBER = _method("eth_getBlockByNumber", 20)


def block_number(settings: ClientSettings) -> Call[int]:
    """
    Ask for the newest block.

    :param settings: Network and source, for errors.
    :return: The call; its value is the block's number.
    """
    return _call(ETH_BLOCK_NUMBER, [], _read_quantity, settings)


def get_logs(
    first_block: int,
    last_block: int,
    contracts: Sequence[str],
    kinds: Collection[EventKind],
    settings: ClientSettings,
) -> Call[list[Any]]:
    """
    Ask for what contracts announced.

    :param first_block: The first block.
    :param last_block: The last one, which is asked as well.
    :param contracts: The contracts, in lower case.
    :param kinds: What is looked for.
    :param settings: Network and source, for errors.
    :return: The call; its value is the entries, to be read one by one: what does not decode must not spoil the others.
    """

    def read(result: Any) -> list[Any]:
        if not isinstance(result, list):
            msg = f"the answer has no list of logs: {shown(result)}"
            raise AlchemyUnexpectedAnswerError(msg)
        return result

    wanted = {
        "fromBlock": hex(first_block),
        "toBlock": hex(last_block),
        "address": list(contracts),
        "topics": topics_of(kinds),
    }
    return _call(ETH_GET_LOGS, [wanted], read, settings, f"blocks {first_block:,} to {last_block:,}")


def get_block_time(number: int, settings: ClientSettings) -> Call[DateTime | None]:
    """
    Ask when a block was made.

    :param number: The block.
    :param settings: Network and source, for errors.
    :return: The call; its value is the block's time, None where there is no such block (yet).
    """

    def read(result: Any) -> DateTime | None:
        if result is None:
            return None
        seconds = _read_quantity(result.get("timestamp") if isinstance(result, dict) else result)
        return pendulum.from_timestamp(seconds)

    return _call(ETH_GET_BLOCK_BY_NUMBER, [hex(number), False], read, settings, f"block {number:,}")


def describe_chain(settings: ClientSettings, what: str = "") -> str:
    """
    Name what is read of a chain for a person.

    :param settings: Network and source.
    :param what: Which part of the chain; default: the chain.
    :return: For example ``blocks 100 to 110 of eth-mainnet (connection 'alchemy_default')``.
    """
    return f"{what or 'the chain'} of {settings.network} ({settings.source})"


def _call(
    endpoint: Endpoint, params: list[Any], read: Callable[[Any], Any], settings: ClientSettings, what: str = ""
) -> Call[Any]:
    def read_result(answer: Any) -> Any:
        if not isinstance(answer, dict) or "result" not in answer:
            msg = f"the answer has no result: {shown(answer)}"
            raise AlchemyUnexpectedAnswerError(msg)
        return read(answer["result"])

    body = {"jsonrpc": "2.0", "id": 1, "method": endpoint.name, "params": params}
    return Call(endpoint, describe_chain(settings, what), read_result, body=body)


def _read_quantity(value: Any) -> int:
    if not isinstance(value, str) or not QUANTITY.fullmatch(value):
        msg = f"the answer has no hexadecimal number: {shown(value)}"
        raise AlchemyUnexpectedAnswerError(msg)
    return int(value, 16)
