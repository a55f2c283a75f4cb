# SPDX-License-Identifier: Apache-2.0
"""The emulated endpoints: one table entry each, with what a call may ask, its price and its answer.

A new endpoint is a new entry: routing, keys, units, faults and the record of calls come with it. The methods of the
node API read as strictly as a real node does: a client that writes a number in another form must fail here already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

from airflow_provider_alchemy.testing import exchange as codes
from airflow_provider_alchemy.testing.calls import UNKNOWN_ENDPOINT
from airflow_provider_alchemy.testing.chain import Chain, ChainLog
from airflow_provider_alchemy.testing.checks import is_address, read_token_id
from airflow_provider_alchemy.testing.collections import contract_fields, nft_text
from airflow_provider_alchemy.testing.exchange import (
    STATE_FIELD,
    Answer,
    Asked,
    Endpoint,
    Exchange,
    Refused,
    Token,
    json_answer,
    require,
    text_answer,
)
from airflow_provider_alchemy.testing.jobs import render_progress
from airflow_provider_alchemy.testing.routing import ApiRequest

REINGEST_NETWORK = "eth-mainnet"
"""The one network that ``reingestContract`` served (Alchemy's API reference, "reingestContract")."""

REFRESH_NETWORKS = {"eth-mainnet", "eth-sepolia", "polygon-mainnet", "polygon-amoy"}
REFRESH_NETWORKS |= {"arb-mainnet", "opt-mainnet", "base-mainnet"}
"""The networks that ``refreshNftMetadata`` is documented for (Alchemy's API reference, "refreshNftMetadata")."""

MAX_TOKENS = 100  # of one batch, and of one page of a listing (Alchemy's API reference, "NFT API")

INVALID_ARGUMENT = "Invalid arg"
NOT_ON_THIS_NETWORK = (
    "This endpoint isn't enabled for that chain or network just yet - please contact the Alchemy team for support!"
)
TOO_MANY_TOKENS = "Sorry, this endpoint only supports up to 100 tokens per request."
REFRESHED_BEFORE = "This token was refreshed in the last 15 minutes. Please try again later."

_GONE = {404: "Not found", 410: "Gone", 400: "Unsupported method"}
_WRONG_NFT = {"tokenId": {}, "timeLastUpdated": 5}
_WRONG_QUEUED = {"status": 5, "estimatedMsToRefresh": {}}
_WRONG_CONTRACT = {"name": 5, "totalSupply": {}}

NEWEST: Final = None
"""In the place of a block's number: the newest one."""

MAX_TOPICS = 4  # of a log: Ethereum's virtual machine has no instruction for more
_QUANTITY = re.compile(r"0x(?:0|[1-9a-f][0-9a-f]{0,15})", re.IGNORECASE)
_TOPIC = re.compile(r"0x[0-9a-f]{64}", re.IGNORECASE)
_TAGS = {"latest": NEWEST, "earliest": 0}
_TOO_WIDE = (
    "Under the Free tier plan, you can make eth_getLogs requests with up to a {limit} block range."
    " Based on your parameters, this block range should work: [{first:#x}, {last:#x}]."
    " Upgrade to PAYG for expanded block range."
)
_TOO_MANY = (
    "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the"
    " response size, or you can request any block range with a cap of 10K logs in the response."
)
_FITTING = (
    " Based on your parameters and the response size limit, this block range should work: [{first:#x}, {last:#x}]"
)


def contract_in_query(request: ApiRequest) -> Asked:
    return Asked(contracts=(_address(request.query.get("contractAddress")),))


def contracts_in_body(request: ApiRequest) -> Asked:
    named: Any = request.body.get("contractAddresses") if isinstance(request.body, dict) else None
    require(isinstance(named, list) and 0 < len(named) <= MAX_TOKENS, INVALID_ARGUMENT)
    return Asked(contracts=tuple(map(_address, named)))


def page_in_query(request: ApiRequest) -> Asked:
    """Read the page of a listing: its start is ``startToken``, or ``pageKey`` as the official JavaScript SDK writes."""
    query = request.query
    start = _token_id(query.get("startToken") or query.get("pageKey") or "0")
    limit = _token_id(query.get("limit", str(MAX_TOKENS)))
    require(limit, INVALID_ARGUMENT)
    contract, with_metadata = _address(query.get("contractAddress")), _flag(query.get("withMetadata", "true"))
    return Asked((contract,), start=start, limit=min(limit, MAX_TOKENS), with_metadata=with_metadata)


def token_in_query(request: ApiRequest) -> Asked:
    require(request.query.get("tokenUriTimeoutInMs", "0").isdecimal(), INVALID_ARGUMENT)
    return Asked(tokens=(_token(request.query),), refreshes=_flag(request.query.get("refreshCache", "false")))


def token_in_body(request: ApiRequest) -> Asked:
    return Asked(tokens=(_token(request.body),), refreshes=True)


def tokens_in_body(request: ApiRequest) -> Asked:
    body: Any = request.body if isinstance(request.body, dict) else {}
    named, refreshes = body.get("tokens"), body.get("refreshCache", False)
    timeout = body.get("tokenUriTimeoutInMs") or 0
    is_timeout = isinstance(timeout, int | float) and not isinstance(timeout, bool) and timeout >= 0
    require(isinstance(named, list) and named and isinstance(refreshes, bool) and is_timeout, INVALID_ARGUMENT)
    require(len(named) <= MAX_TOKENS, TOO_MANY_TOKENS)
    return Asked(tokens=tuple(map(_token, named)), refreshes=refreshes)


def _address(value: Any) -> str:
    require(is_address(value), INVALID_ARGUMENT)
    return str(value).lower()


def _token_id(value: object) -> int:
    token_id = read_token_id(value)
    require(token_id is not None, INVALID_ARGUMENT)
    return token_id or 0


def _token(named: Any) -> Token:
    require(isinstance(named, Mapping), INVALID_ARGUMENT)
    return _address(named.get("contractAddress")), _token_id(named.get("tokenId"))


def _flag(text: str) -> bool:
    require(text.lower() in {"true", "false"}, INVALID_ARGUMENT)
    return text.lower() == "true"


def read_block(value: Any) -> int | None:
    """Read the number of a block: hex digits without leading zeros, ``latest`` (None) or ``earliest``."""
    is_text = isinstance(value, str)
    if is_text and value in _TAGS:
        return _TAGS[value]
    rule = "a block is a hex number without leading zeros, latest or earliest"
    require(is_text and _QUANTITY.fullmatch(value), f"invalid argument 0: {rule}")
    return int(value, 16)


def read_block_number(request: ApiRequest) -> Asked:
    params: Any = request.rpc_params
    is_pair = isinstance(params, list) and len(params) == 2 and isinstance(params[1], bool)  # noqa: PLR2004 - its two
    require(is_pair, "missing value for required argument 0 or 1")
    return Asked(block=read_block(params[0]))


def read_logs(request: ApiRequest) -> Asked:
    params: Any = request.rpc_params
    is_filter = isinstance(params, list) and len(params) == 1 and isinstance(params[0], dict)
    require(is_filter, "missing value for required argument 0")
    asked = params[0]
    require("blockHash" not in asked, "invalid argument 0: the emulator knows no blockHash; give fromBlock and toBlock")
    first, last = (read_block(asked.get(name, "latest")) for name in ("fromBlock", "toBlock"))
    require(first is NEWEST or last is NEWEST or first <= last, "invalid block range params")
    contracts = _texts(asked.get("address"), is_address, "an address is 0x and 40 hex digits")
    topics = asked.get("topics") or []
    is_list = isinstance(topics, list) and len(topics) <= MAX_TOPICS
    require(is_list, f"invalid argument 0: topics are a list of at most {MAX_TOPICS}")
    return Asked(contracts=contracts, blocks=(first, last), topics=tuple(map(_read_topic, topics)))


def _read_topic(value: object) -> frozenset[str]:
    if isinstance(value, list) and None in value:
        return frozenset()
    return frozenset(_texts(value, lambda one: _TOPIC.fullmatch(str(one)), "a topic is 0x and 64 hex digits"))


def _texts(value: Any, is_right: Callable[[object], object], rule: str) -> tuple[str, ...]:
    named = value if isinstance(value, list) else [] if value is None else [value]
    require(all(map(is_right, named)), f"invalid argument 0: {rule}")
    return tuple(text.lower() for text in named)


def select(asked: Asked, logs: Iterable[ChainLog]) -> list[ChainLog]:
    """Give the logs that are of one of the contracts and have the topics; more topics do no harm."""
    contracts = frozenset(asked.contracts)
    return [log for log in logs if (not contracts or log.contract_address in contracts) and _has_topics(log, asked)]


def _has_topics(log: ChainLog, asked: Asked) -> bool:
    pairs = zip(asked.topics, log.topics, strict=False)
    are_right = (not any_of or topic.lower() in any_of for any_of, topic in pairs)
    return len(log.topics) >= len(asked.topics) and all(are_right)


def _reingest(exchange: Exchange) -> Answer:
    settings, network = exchange.account.settings, exchange.request.network
    if settings.reingest_gone is not None:
        raise Refused(_GONE[settings.reingest_gone], status=settings.reingest_gone)
    require(network == REINGEST_NETWORK or settings.reingest_on_every_network, NOT_ON_THIS_NETWORK)
    (address,) = exchange.asked.contracts
    report = exchange.account.jobs.ask(network, address, exchange.now, settings, is_dry=exchange.is_dry)
    progress = render_progress(report.progress, settings.progress_form)
    return json_answer({"contractAddress": address, STATE_FIELD: report.state, "progress": progress})


def _refresh(exchange: Exchange) -> Answer:
    settings, network = exchange.account.settings, exchange.request.network
    require(network in REFRESH_NETWORKS, NOT_ON_THIS_NETWORK)
    ((address, token_id),) = exchange.asked.tokens
    collection = exchange.account.collections[network, address]
    is_new = exchange.is_dry or collection.queue(token_id, exchange.now, settings.speed)
    require(is_new or settings.repeated_refresh == "accepted", REFRESHED_BEFORE)
    estimate = round(collection.plan.queue_seconds * 1000 / settings.speed)
    is_text = settings.estimate_form == "text"
    return json_answer({"status": "Queued", "estimatedMsToRefresh": str(estimate) if is_text else estimate})


def _nft(exchange: Exchange) -> Answer:
    return text_answer(_nfts(exchange))


def _nft_batch(exchange: Exchange) -> Answer:
    nfts = _nfts(exchange)
    return text_answer(f"[{nfts}]" if exchange.account.settings.batch_form == "array" else f'{{"nfts": [{nfts}]}}')


def _nfts(exchange: Exchange) -> str:
    texts = []
    for address, token_id in exchange.asked.tokens:
        collection = exchange.account.collections[exchange.request.network, address]
        if exchange.asked.refreshes and not exchange.is_dry:
            view = collection.refresh(token_id, exchange.now, exchange.account.settings.speed)
        else:
            view = collection.view(token_id, exchange.now)
        texts.append(nft_text(address, collection, token_id, view))
    return ", ".join(texts)


def _nft_page(exchange: Exchange) -> Answer:
    asked, settings = exchange.asked, exchange.account.settings
    (address,) = asked.contracts
    collection = exchange.account.collections[exchange.request.network, address]
    size = min(asked.limit, settings.page_size)
    found = collection.page(asked.start, size + 1)
    if asked.with_metadata:
        nfts = [nft_text(address, collection, one, collection.view(one, exchange.now)) for one in found[:size]]
    else:
        nfts = [f'{{"contractAddress": "{address}", "tokenId": "{token_id}"}}' for token_id in found[:size]]
    page_key = ', "pageKey": null' if settings.last_page_key == "null" else ""
    if settings.repeat_page_key or len(found) > size:
        following = asked.start if settings.repeat_page_key else found[size]
        page_key = f', "pageKey": "{f"0x{following:064x}" if settings.page_key_form == "hex" else following}"'
    return text_answer(f'{{"nfts": [{", ".join(nfts)}]{page_key}}}')


def _contracts(exchange: Exchange) -> list[dict[str, object]]:
    collections, network = exchange.account.collections, exchange.request.network
    return [contract_fields(address, collections[network, address]) for address in exchange.asked.contracts]


def _contract(exchange: Exchange) -> Answer:
    return json_answer(_contracts(exchange)[0])


def _contract_batch(exchange: Exchange) -> Answer:
    contracts = _contracts(exchange)
    return json_answer(contracts if exchange.account.settings.batch_form == "array" else {"contracts": contracts})


def _node(exchange: Exchange) -> tuple[Chain, int]:
    """Give the chain, and the newest block that the node which answers knows."""
    account = exchange.account
    chain = account.chain(exchange.request.network, exchange.now)
    if exchange.is_dry:
        return chain, chain.newest
    account.node_calls += 1
    return chain, max(0, chain.newest - account.settings.lag_blocks * (account.node_calls % 2 == 0))


def _result(exchange: Exchange, result: object) -> Answer:
    return json_answer({"jsonrpc": "2.0", "id": exchange.request.rpc_id, "result": result})


def _block_number(exchange: Exchange) -> Answer:
    return _result(exchange, hex(_node(exchange)[1]))


def _block(exchange: Exchange) -> Answer:
    asked = exchange.asked.block
    chain, head = _node(exchange)
    number = head if asked is NEWEST else asked
    if number > head:
        return _result(exchange, None)
    block = {
        "number": hex(number),
        "hash": chain.block_hash(number),
        "parentHash": chain.block_hash(number - 1) if number else f"0x{0:064x}",
        "timestamp": hex(chain.mined_at(number)),
        "transactions": [],
    }
    return _result(exchange, block)


def _logs(exchange: Exchange) -> Answer:
    asked, settings = exchange.asked, exchange.account.settings
    require(len(asked.contracts) <= (settings.max_addresses or len(asked.contracts)), "too many addresses")
    chain, head = _node(exchange)
    first, last = (head if block is NEWEST else block for block in asked.blocks or ())
    _limit_blocks(first, last, settings.max_block_range, settings.range_refusal)
    beyond = f"block range extends beyond current head block: requested {last}, head {head}"
    require(last <= head or settings.lag_form == "empty", beyond)
    last = min(last, head)
    removed = select(asked, chain.removed_between(first, last)) if settings.removed_logs else []
    found = select(asked, chain.between(first, last))
    _limit_logs(first, [*removed, *found], settings.max_logs, has_hint=settings.range_refusal == "hint")
    entries = [_entry(log, chain, removed=True) for log in removed]
    return _result(exchange, entries + [_entry(log, chain, removed=False) for log in found])


def _limit_blocks(first: int, last: int, limit: int | None, form: str) -> None:
    fits = limit is None or last - first < limit
    require(fits or form != "plain", "block range is too wide")
    require(fits or form != "ok", "query exceeds max block range", status=codes.OK, code=codes.LIMIT_EXCEEDED)
    require(fits or form != "timeout", "Query timeout exceeded. Consider reducing your block range.", status=503)
    hint = _TOO_WIDE.format(limit=limit, first=first, last=first + (limit or 0) - 1)
    require(fits, hint, code=codes.INVALID_REQUEST)


def _limit_logs(first: int, found: list[ChainLog], limit: int | None, *, has_hint: bool) -> None:
    if limit is None or len(found) <= limit:
        return
    # Up to the block before the one that holds the first log too many; a block that is too full alone stays.
    last = max(first, sorted(log.block_number for log in found)[limit] - 1)
    raise Refused(_TOO_MANY + (_FITTING.format(first=first, last=last) if has_hint else ""))


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
    require(request.body is not None, "Parse error", code=codes.PARSE_ERROR)
    require(request.name, "Invalid request", code=codes.INVALID_REQUEST)
    msg = f"Unsupported method: {request.name}"
    raise Refused(msg, code=codes.INVALID_REQUEST)


def _unknown_path(_exchange: Exchange) -> Answer:
    raise Refused(_GONE[404], status=404)


def _nothing(_request: ApiRequest) -> Asked:
    return Asked()


NODE: frozenset[str] = frozenset()
_V2_AND_V3 = frozenset({"v2", "v3"})
_WRONG_BLOCK = {"result": {"number": 5, "hash": []}}
_WRONG_LOGS = {"result": dict[str, object]()}  # not a log's field: an answer without logs must have a wrong type too
_rpc = partial(Endpoint, versions=NODE, names_contract=False)
_ALL = (
    Endpoint("reingestContract", "GET", 480, 480, contract_in_query, _reingest, {STATE_FIELD: 5}, versions=_V2_AND_V3),
    Endpoint("refreshNftMetadata", "POST", 40, 10, token_in_body, _refresh, _WRONG_QUEUED, names_contract=False),
    Endpoint("getNFTMetadata", "GET", 80, 10, token_in_query, _nft, _WRONG_NFT),
    Endpoint("getNFTMetadataBatch", "POST", 480, 100, tokens_in_body, _nft_batch, _WRONG_NFT, "nfts"),
    Endpoint("getNFTsForContract", "GET", 600, 50, page_in_query, _nft_page, _WRONG_NFT, "nfts"),
    Endpoint("getContractMetadata", "GET", 160, 10, contract_in_query, _contract, _WRONG_CONTRACT),
    Endpoint(
        "getContractMetadataBatch", "POST", 480, 100, contracts_in_body, _contract_batch, _WRONG_CONTRACT, "contracts"
    ),
    _rpc("eth_blockNumber", "POST", 10, 10, _nothing, _block_number, {"result": 5}),
    _rpc("eth_getLogs", "POST", 60, 60, read_logs, _logs, _WRONG_LOGS, "result"),
    _rpc("eth_getBlockByNumber", "POST", 20, 20, read_block_number, _block, _WRONG_BLOCK),
)
ENDPOINTS = {endpoint.name: endpoint for endpoint in _ALL}
"""The endpoints by name; prices from Alchemy's API reference, "Compute unit costs"."""

NO_METHOD = _rpc(UNKNOWN_ENDPOINT, "POST", 0, 0, _nothing, _no_method, {})
UNKNOWN_PATH = Endpoint(UNKNOWN_ENDPOINT, "", 0, 0, _nothing, _unknown_path, {})
"""What is asked of the node API and is no call of one of its methods, and what is on none of the emulator's paths."""


def find_endpoint(request: ApiRequest) -> Endpoint:
    unknown = NO_METHOD if request.is_rpc else UNKNOWN_PATH
    endpoint = ENDPOINTS.get(request.name, unknown)
    is_right = endpoint.versions is NODE if request.is_rpc else request.version in endpoint.versions
    return endpoint if is_right else unknown
