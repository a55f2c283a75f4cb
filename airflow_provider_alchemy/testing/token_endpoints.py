# SPDX-License-Identifier: Apache-2.0
"""The endpoints that are about single tokens: what each of them does and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_alchemy.testing.answers import NOT_ON_THIS_NETWORK, Answer, error_answer, json_answer, text_answer
from airflow_provider_alchemy.testing.nft_texts import nft_text
from airflow_provider_alchemy.testing.settings import BatchForm, EstimateForm, RepeatedRefresh

if TYPE_CHECKING:
    from airflow_provider_alchemy.testing.routing import ApiRequest
    from airflow_provider_alchemy.testing.state import ServiceState

REFRESH_NETWORKS = frozenset(
    {
        *("eth-mainnet", "eth-sepolia", "polygon-mainnet", "polygon-amoy"),
        *("arb-mainnet", "opt-mainnet", "base-mainnet"),
    }
)
"""The networks that ``refreshNftMetadata`` is documented for (Alchemy's API reference, "refreshNftMetadata")."""

_REFRESHED_BEFORE = "This token was refreshed in the last 15 minutes. Please try again later."


def refresh_nft_metadata(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    """Queue the refresh of one token."""
    settings = state.settings
    if request.network not in REFRESH_NETWORKS and not settings.refresh_on_every_network:
        return error_answer(400, NOT_ON_THIS_NETWORK)
    if request.asked.refusal is not None:
        return error_answer(400, request.asked.refusal)
    for address, token_id in request.asked.tokens:
        collection = state.collections.get(request.network, address)
        is_new = collection.queue(token_id, now, settings.speed, settings.refresh_rule_seconds)
        if not is_new and settings.repeated_refresh is RepeatedRefresh.REFUSED:
            return error_answer(400, _REFRESHED_BEFORE)
    return queued(request, state, now)


def queued(request: ApiRequest, state: ServiceState, _now: float) -> Answer:
    """Answer ``refreshNftMetadata`` without queueing anything."""
    settings = state.settings
    plan = state.collections.find(request.network, request.contract_address or "").plan
    estimate = round(plan.queue_seconds * 1000 / settings.speed)
    is_text = settings.estimate_form is EstimateForm.TEXT
    return json_answer({"status": "Queued", "estimatedMsToRefresh": str(estimate) if is_text else estimate})


def nft_metadata(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    """Answer with one NFT, refreshed where the call says so."""
    if request.asked.refusal is not None:
        return error_answer(400, request.asked.refusal)
    return text_answer(_nfts(request, state, now, refresh=request.asked.refreshes))


def nft_metadata_sample(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    """Answer with one NFT and refresh nothing."""
    return text_answer(_nfts(request, state, now, refresh=False) or "{}")


def nft_metadata_batch(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    """Answer with up to 100 NFTs, refreshed where the call says so."""
    if request.asked.refusal is not None:
        return error_answer(400, request.asked.refusal)
    return _batch(_nfts(request, state, now, refresh=request.asked.refreshes), state)


def nft_metadata_batch_sample(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    """Answer with the NFTs and refresh nothing."""
    return _batch(_nfts(request, state, now, refresh=False), state)


def _batch(nfts: str, state: ServiceState) -> Answer:
    return text_answer(f"[{nfts}]" if state.settings.batch_form is BatchForm.ARRAY else f'{{"nfts": [{nfts}]}}')


def _nfts(request: ApiRequest, state: ServiceState, now: float, *, refresh: bool) -> str:
    texts = []
    for address, token_id in request.asked.tokens:
        if refresh:
            collection = state.collections.get(request.network, address)
            view = collection.refresh(token_id, now, state.settings.speed)
        else:
            collection = state.collections.find(request.network, address)
            view = collection.look(token_id, now)
        texts.append(nft_text(address, collection, token_id, view))
    return ", ".join(texts)
