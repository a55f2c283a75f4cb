# SPDX-License-Identifier: Apache-2.0
"""The emulated endpoints: one table entry each, with what a call may ask, its price and its answer.

A new endpoint is a new entry: routing, keys, units, faults and the record of calls come with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from airflow_provider_alchemy.testing.calls import UNKNOWN_ENDPOINT
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
    text_answer,
)
from airflow_provider_alchemy.testing.jobs import render_progress
from airflow_provider_alchemy.testing.node import METHODS, NO_METHOD
from airflow_provider_alchemy.testing.routing import ApiRequest

REINGEST_NETWORK = "eth-mainnet"
"""The one network that ``reingestContract`` ever served (Alchemy's API reference, "reingestContract")."""

REFRESH_NETWORKS = frozenset(
    {
        *("eth-mainnet", "eth-sepolia", "polygon-mainnet", "polygon-amoy"),
        *("arb-mainnet", "opt-mainnet", "base-mainnet"),
    }
)
"""The networks that ``refreshNftMetadata`` is documented for (Alchemy's API reference, "refreshNftMetadata")."""

MAX_TOKENS = 100
"""The most tokens of one batch, and of one page of a listing (Alchemy's API reference, "NFT API")."""

INVALID_ARGUMENT = "Invalid arg"
NOT_ON_THIS_NETWORK = (
    "This endpoint isn't enabled for that chain or network just yet - please contact the Alchemy team for support!"
)
TOO_MANY_TOKENS = "Sorry, this endpoint only supports up to 100 tokens per request."
REFRESHED_BEFORE = "This token was refreshed in the last 15 minutes. Please try again later."

_FLAGS = {"true": True, "false": False}
_GONE = {404: "Not found", 410: "Gone", 400: "Unsupported method"}
_WRONG_IN_NFT = {"tokenId": {}, "timeLastUpdated": 5}
_WRONG_IN_CONTRACT = {"name": 5, "totalSupply": {}}


def contract_in_query(request: ApiRequest) -> Asked:
    return Asked(contracts=(_address(request.query.get("contractAddress")),))


def contracts_in_body(request: ApiRequest) -> Asked:
    named = request.body.get("contractAddresses") if isinstance(request.body, dict) else None
    if not isinstance(named, list) or not 0 < len(named) <= MAX_TOKENS:
        raise Refused(INVALID_ARGUMENT)
    return Asked(contracts=tuple(map(_address, named)))


def page_in_query(request: ApiRequest) -> Asked:
    """Read the page that ``getNFTsForContract`` asks for.

    The start may be called ``startToken``, as documented, or ``pageKey``, as the official JavaScript SDK does.
    """
    query = request.query
    start = read_token_id(query.get("startToken") or query.get("pageKey") or "0")
    limit = read_token_id(query.get("limit", str(MAX_TOKENS)))
    with_metadata = _FLAGS.get(query.get("withMetadata", "true").lower())
    if start is None or not limit or with_metadata is None:
        raise Refused(INVALID_ARGUMENT)
    contract = _address(query.get("contractAddress"))
    return Asked((contract,), start=start, limit=min(limit, MAX_TOKENS), with_metadata=with_metadata)


def token_in_query(request: ApiRequest) -> Asked:
    refreshes = _FLAGS.get(request.query.get("refreshCache", "false").lower())
    if refreshes is None or not request.query.get("tokenUriTimeoutInMs", "0").isdecimal():
        raise Refused(INVALID_ARGUMENT)
    return Asked(tokens=(_token(request.query),), refreshes=refreshes)


def token_in_body(request: ApiRequest) -> Asked:
    return Asked(tokens=(_token(request.body),), refreshes=True)


def tokens_in_body(request: ApiRequest) -> Asked:
    body = request.body if isinstance(request.body, dict) else {}
    named, refreshes = body.get("tokens"), body.get("refreshCache", False)
    timeout = body.get("tokenUriTimeoutInMs") or 0
    is_timeout = isinstance(timeout, int | float) and not isinstance(timeout, bool) and timeout >= 0
    if not isinstance(named, list) or not named or not isinstance(refreshes, bool) or not is_timeout:
        raise Refused(INVALID_ARGUMENT)
    if len(named) > MAX_TOKENS:
        raise Refused(TOO_MANY_TOKENS)
    return Asked(tokens=tuple(map(_token, named)), refreshes=refreshes)


def _address(value: object) -> str:
    if not isinstance(value, str) or not is_address(value):
        raise Refused(INVALID_ARGUMENT)
    return value.lower()


def _token(named: object) -> Token:
    token_id = read_token_id(named.get("tokenId")) if isinstance(named, Mapping) else None
    if not isinstance(named, Mapping) or token_id is None:
        raise Refused(INVALID_ARGUMENT)
    return _address(named.get("contractAddress")), token_id


def _reingest(exchange: Exchange) -> Answer:
    settings, network = exchange.settings, exchange.request.network
    if settings.reingest_gone is not None:
        raise Refused(_GONE[settings.reingest_gone], status=settings.reingest_gone)
    if network != REINGEST_NETWORK and not settings.reingest_on_every_network:
        raise Refused(NOT_ON_THIS_NETWORK)
    (address,) = exchange.asked.contracts
    report = exchange.account.jobs.ask(network, address, exchange.now, settings, is_dry=exchange.is_dry)
    progress = render_progress(report.progress, settings.progress_form)
    return json_answer({"contractAddress": address, STATE_FIELD: report.state, "progress": progress})


def _refresh_nft_metadata(exchange: Exchange) -> Answer:
    settings, network = exchange.settings, exchange.request.network
    if network not in REFRESH_NETWORKS:
        raise Refused(NOT_ON_THIS_NETWORK)
    ((address, token_id),) = exchange.asked.tokens
    collections = exchange.account.collections
    collection = collections.find(network, address) if exchange.is_dry else collections.get(network, address)
    is_new = exchange.is_dry or collection.queue(token_id, exchange.now, settings.speed)
    if not is_new and settings.repeated_refresh == "refused":
        raise Refused(REFRESHED_BEFORE)
    estimate = round(collection.plan.queue_seconds * 1000 / settings.speed)
    is_text = settings.estimate_form == "text"
    return json_answer({"status": "Queued", "estimatedMsToRefresh": str(estimate) if is_text else estimate})


def _nft_metadata(exchange: Exchange) -> Answer:
    return text_answer(_nfts(exchange))


def _nft_metadata_batch(exchange: Exchange) -> Answer:
    nfts = _nfts(exchange)
    return text_answer(f"[{nfts}]" if exchange.settings.batch_form == "array" else f'{{"nfts": [{nfts}]}}')


def _nfts(exchange: Exchange) -> str:
    texts = []
    collections, network = exchange.account.collections, exchange.request.network
    for address, token_id in exchange.asked.tokens:
        if exchange.asked.refreshes and not exchange.is_dry:
            collection = collections.get(network, address)
            view = collection.refresh(token_id, exchange.now, exchange.settings.speed)
        else:
            collection = collections.find(network, address)
            view = collection.view(token_id, exchange.now)
        texts.append(nft_text(address, collection, token_id, view))
    return ", ".join(texts)


def _nfts_for_contract(exchange: Exchange) -> Answer:
    asked, settings = exchange.asked, exchange.settings
    (address,) = asked.contracts
    collection = exchange.account.collections.find(exchange.request.network, address)
    size = min(asked.limit, settings.page_size)
    found = collection.page(asked.start, size + 1)
    if asked.with_metadata:
        nfts = [nft_text(address, collection, one, collection.view(one, exchange.now)) for one in found[:size]]
    else:
        nfts = [f'{{"contractAddress": "{address}", "tokenId": "{token_id}"}}' for token_id in found[:size]]
    following = asked.start if settings.repeat_page_key else found[size] if len(found) > size else None
    key = ""
    if following is not None:
        key = json.dumps(f"0x{following:064x}" if settings.page_key_form == "hex" else str(following))
    elif settings.last_page_key == "null":
        key = "null"
    page_key = f', "pageKey": {key}' if key else ""
    return text_answer(f'{{"nfts": [{", ".join(nfts)}]{page_key}}}')


def _contracts(exchange: Exchange) -> list[dict[str, object]]:
    collections, network = exchange.account.collections, exchange.request.network
    return [contract_fields(address, collections.find(network, address)) for address in exchange.asked.contracts]


def _contract_metadata(exchange: Exchange) -> Answer:
    return json_answer(_contracts(exchange)[0])


def _contract_metadata_batch(exchange: Exchange) -> Answer:
    contracts = _contracts(exchange)
    return json_answer(contracts if exchange.settings.batch_form == "array" else {"contracts": contracts})


_NFT_API = (
    Endpoint(
        "reingestContract",
        "GET",
        480,
        480,
        contract_in_query,
        _reingest,
        wrong_fields={STATE_FIELD: 5},
        versions=frozenset({"v2", "v3"}),
        spared=frozenset(),
    ),
    Endpoint(
        "refreshNftMetadata",
        "POST",
        40,
        10,
        token_in_body,
        _refresh_nft_metadata,
        wrong_fields={"status": 5, "estimatedMsToRefresh": {}},
        spared=frozenset({"unknown_state", "other_contract"}),
    ),
    Endpoint("getNFTMetadata", "GET", 80, 10, token_in_query, _nft_metadata, _WRONG_IN_NFT),
    Endpoint(
        "getNFTMetadataBatch", "POST", 480, 100, tokens_in_body, _nft_metadata_batch, _WRONG_IN_NFT, items_field="nfts"
    ),
    Endpoint(
        "getNFTsForContract", "GET", 600, 50, page_in_query, _nfts_for_contract, _WRONG_IN_NFT, items_field="nfts"
    ),
    Endpoint("getContractMetadata", "GET", 160, 10, contract_in_query, _contract_metadata, _WRONG_IN_CONTRACT),
    Endpoint(
        "getContractMetadataBatch",
        "POST",
        480,
        100,
        contracts_in_body,
        _contract_metadata_batch,
        _WRONG_IN_CONTRACT,
        items_field="contracts",
    ),
)

ENDPOINTS: dict[str, Endpoint] = {endpoint.name: endpoint for endpoint in (*_NFT_API, *METHODS)}
"""The endpoints by name; prices from Alchemy's API reference, "Compute unit costs"."""


def _unknown_path(_exchange: Exchange) -> Answer:
    msg = "Not found"
    raise Refused(msg, status=404)


UNKNOWN_PATH = Endpoint(UNKNOWN_ENDPOINT, "", 0, 0, lambda _request: Asked(), _unknown_path, wrong_fields={})
"""What is asked on a path that is none of the emulator's."""


def find_endpoint(request: ApiRequest) -> Endpoint:
    """Give the endpoint that a call is for."""
    endpoint = ENDPOINTS.get(request.name)
    if request.is_rpc:
        return endpoint if endpoint and not endpoint.versions else NO_METHOD
    return endpoint if endpoint and request.version in endpoint.versions else UNKNOWN_PATH
