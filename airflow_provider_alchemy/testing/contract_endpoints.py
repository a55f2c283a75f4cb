# SPDX-License-Identifier: Apache-2.0
"""The endpoints that are about whole contracts: their metadata and the list of their tokens. None changes anything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from airflow_provider_alchemy.testing.answers import Answer, error_answer, json_answer, text_answer
from airflow_provider_alchemy.testing.asked import INVALID_ARGUMENT, asked_contracts, page_in_query
from airflow_provider_alchemy.testing.checks import is_address
from airflow_provider_alchemy.testing.nft_texts import contract_fields, nft_text
from airflow_provider_alchemy.testing.settings import BatchForm, LastPageKey, PageKeyForm, Settings

if TYPE_CHECKING:
    from airflow_provider_alchemy.testing.routing import ApiRequest
    from airflow_provider_alchemy.testing.state import ServiceState


def lower_address(request: ApiRequest) -> str:
    """Give the address that a call is about, in the lower case in which the service answers."""
    return (request.contract_address or "").lower()


def contract_metadata(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    """Answer with what is known of one contract."""
    if not is_address(request.contract_address):
        return error_answer(400, INVALID_ARGUMENT)
    return contract_metadata_sample(request, state, now)


def contract_metadata_sample(request: ApiRequest, state: ServiceState, _now: float) -> Answer:
    """Answer for whatever address the call has."""
    address = lower_address(request)
    return json_answer(contract_fields(address, state.collections.find(request.network, address)))


def contract_metadata_batch(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    """Answer with what is known of several contracts."""
    if asked_contracts(request.body) is None:
        return error_answer(400, INVALID_ARGUMENT)
    return contract_metadata_batch_sample(request, state, now)


def contract_metadata_batch_sample(request: ApiRequest, state: ServiceState, _now: float) -> Answer:
    """Answer for the addresses that are well-formed."""
    addresses = asked_contracts(request.body) or ()
    contracts = [contract_fields(address, state.collections.find(request.network, address)) for address in addresses]
    return json_answer(contracts if state.settings.batch_form is BatchForm.ARRAY else {"contracts": contracts})


def nfts_for_contract(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    """Answer with one page of a contract's tokens, in ascending order of their ids."""
    page, address, settings = page_in_query(request.query), lower_address(request), state.settings
    if page is None or not is_address(request.contract_address):
        return error_answer(400, INVALID_ARGUMENT)
    collection = state.collections.find(request.network, address)
    size = min(page.limit, settings.page_size)
    found = collection.from_id(page.start, size + 1)
    if page.with_metadata:
        nfts = [nft_text(address, collection, token_id, collection.look(token_id, now)) for token_id in found[:size]]
    else:
        nfts = [f'{{"contractAddress": "{address}", "tokenId": "{token_id}"}}' for token_id in found[:size]]
    following = found[size] if len(found) > size else None
    key = _page_key(page.start if settings.repeat_page_key else following, settings)
    return text_answer(f'{{"nfts": [{", ".join(nfts)}]{key}}}')


def _page_key(following: int | None, settings: Settings) -> str:
    if following is None:
        return ', "pageKey": null' if settings.last_page_key is LastPageKey.NULL else ""
    key = f"0x{following:064x}" if settings.page_key_form is PageKeyForm.HEX else str(following)
    return f', "pageKey": {json.dumps(key)}'
