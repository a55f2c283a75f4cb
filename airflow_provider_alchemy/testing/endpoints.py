# SPDX-License-Identifier: Apache-2.0
"""The emulated endpoints and methods of JSON-RPC: one table entry each, and the function that answers it.

A new endpoint is a new entry: routing, keys, metering, faults and the record of calls come with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_alchemy.testing import contract_endpoints, rpc_endpoints, token_endpoints
from airflow_provider_alchemy.testing.answers import NOT_ON_THIS_NETWORK, Answer, error_answer, json_answer
from airflow_provider_alchemy.testing.asked import (
    INVALID_ARGUMENT,
    AskedTokens,
    no_tokens,
    token_in_body,
    token_in_query,
    tokens_in_body,
)
from airflow_provider_alchemy.testing.asked_logs import AskedLogs, read_asked_logs
from airflow_provider_alchemy.testing.calls import UNKNOWN_ENDPOINT
from airflow_provider_alchemy.testing.checks import is_address
from airflow_provider_alchemy.testing.contract_endpoints import lower_address
from airflow_provider_alchemy.testing.faults import FaultKind
from airflow_provider_alchemy.testing.jobs import IN_PROGRESS, render_progress

if TYPE_CHECKING:
    from airflow_provider_alchemy.testing.routing import ApiRequest
    from airflow_provider_alchemy.testing.state import ServiceState

REINGEST_NETWORK = "eth-mainnet"
"""The one network that ``reingestContract`` ever served (Alchemy's API reference, "reingestContract")."""

Work = Callable[["ApiRequest", "ServiceState", float], Answer]
"""What answers a call; gets the call, the state and the time."""

_WRONG_IN_NFT = {"tokenId": {}, "timeLastUpdated": 5}
_WRONG_IN_CONTRACT = {"name": 5, "totalSupply": {}}
_GONE = {404: "Not found", 410: "Gone", 400: "Unsupported method"}


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of the NFT API, or one method of the node API.

    :param name: the last part of its path, or the method's name.
    :param method: its HTTP method.
    :param compute_units: what a call is billed.
    :param throughput_units: what a call counts in the throughput window.
    :param answer: does the work and answers, for a call whose key and units are in order.
    :param sample: a right answer to a call that never reached the service; touches nothing.
    :param wrong_fields: one field with a value of the wrong type, for the fault ``wrong_types``.
    :param versions: the versions of the NFT API that have it.
    :param state_field: the answer's field with the refresh state, None where there is none.
    :param items_field: the answer's field with its NFTs, contracts or logs, None where it has only one.
    :param has_address: whether the answer names the contract.
    :param read_tokens: finds the tokens that a call names, from its query and its body.
    :param is_rpc: whether it is a method of the node API.
    :param read_logs: finds the logs that a call of the node API asks for, from its parameters; None: it asks for none.
    """

    name: str
    method: str
    compute_units: int
    throughput_units: int
    answer: Work
    sample: Work
    wrong_fields: Mapping[str, object]
    versions: frozenset[str] = frozenset({"v3"})
    state_field: str | None = None
    items_field: str | None = None
    has_address: bool = True
    read_tokens: Callable[[Mapping[str, str], object], AskedTokens] = no_tokens
    is_rpc: bool = False
    read_logs: Callable[[object], AskedLogs] | None = None

    @property
    def spared(self) -> frozenset[FaultKind]:
        """The kinds of fault that cannot happen to its answers, because they have nothing to spoil."""
        no_state = {FaultKind.UNKNOWN_STATE} if self.state_field is None else set()
        return frozenset(no_state | (set() if self.has_address else {FaultKind.OTHER_CONTRACT}))


def _reingest(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    settings = state.settings
    if settings.reingest_gone is not None:
        return error_answer(settings.reingest_gone, _GONE[settings.reingest_gone])
    if request.network != REINGEST_NETWORK and not settings.reingest_on_every_network:
        return error_answer(400, NOT_ON_THIS_NETWORK)
    if not is_address(request.contract_address):
        return error_answer(400, INVALID_ARGUMENT)
    address = lower_address(request)
    report = state.jobs.ask(request.network, address, now, settings)
    return json_answer(
        {
            "contractAddress": address,
            "reingestionState": report.state,
            "progress": render_progress(report.progress, settings.progress_form),
        }
    )


def _reingest_sample(request: ApiRequest, _state: ServiceState, _now: float) -> Answer:
    return json_answer({"contractAddress": lower_address(request), "reingestionState": IN_PROGRESS, "progress": None})


def _rpc_method(
    name: str,
    units: int,
    answer: Work,
    sample: Work,
    wrong_fields: Mapping[str, object],
    *,
    items_field: str | None = None,
    read_logs: Callable[[object], AskedLogs] | None = None,
) -> Endpoint:
    return Endpoint(
        name=name,
        method="POST",
        versions=frozenset(),
        compute_units=units,
        throughput_units=units,
        answer=answer,
        sample=sample,
        wrong_fields=wrong_fields,
        items_field=items_field,
        has_address=False,
        is_rpc=True,
        read_logs=read_logs,
    )


NO_METHOD = _rpc_method(UNKNOWN_ENDPOINT, 0, rpc_endpoints.no_method, rpc_endpoints.no_method, {})
"""What is asked of the node API and is no call of one of its methods."""

ENDPOINTS: dict[str, Endpoint] = {
    endpoint.name: endpoint
    for endpoint in (
        Endpoint(
            name="reingestContract",
            method="GET",
            versions=frozenset({"v2", "v3"}),
            compute_units=480,
            throughput_units=480,
            answer=_reingest,
            sample=_reingest_sample,
            state_field="reingestionState",
            wrong_fields={"reingestionState": 5},
        ),
        Endpoint(
            name="refreshNftMetadata",
            method="POST",
            compute_units=40,
            throughput_units=10,
            answer=token_endpoints.refresh_nft_metadata,
            sample=token_endpoints.queued,
            wrong_fields={"status": 5, "estimatedMsToRefresh": {}},
            has_address=False,
            read_tokens=token_in_body,
        ),
        Endpoint(
            name="getNFTMetadata",
            method="GET",
            compute_units=80,
            throughput_units=10,
            answer=token_endpoints.nft_metadata,
            sample=token_endpoints.nft_metadata_sample,
            wrong_fields=_WRONG_IN_NFT,
            read_tokens=token_in_query,
        ),
        Endpoint(
            name="getNFTMetadataBatch",
            method="POST",
            compute_units=480,
            throughput_units=100,
            answer=token_endpoints.nft_metadata_batch,
            sample=token_endpoints.nft_metadata_batch_sample,
            wrong_fields=_WRONG_IN_NFT,
            items_field="nfts",
            read_tokens=tokens_in_body,
        ),
        Endpoint(
            name="getNFTsForContract",
            method="GET",
            compute_units=600,
            throughput_units=50,
            answer=contract_endpoints.nfts_for_contract,
            sample=contract_endpoints.nfts_for_contract,
            wrong_fields=_WRONG_IN_NFT,
            items_field="nfts",
        ),
        Endpoint(
            name="getContractMetadata",
            method="GET",
            compute_units=160,
            throughput_units=10,
            answer=contract_endpoints.contract_metadata,
            sample=contract_endpoints.contract_metadata_sample,
            wrong_fields=_WRONG_IN_CONTRACT,
        ),
        Endpoint(
            name="getContractMetadataBatch",
            method="POST",
            compute_units=480,
            throughput_units=100,
            answer=contract_endpoints.contract_metadata_batch,
            sample=contract_endpoints.contract_metadata_batch_sample,
            wrong_fields=_WRONG_IN_CONTRACT,
            items_field="contracts",
        ),
        _rpc_method(
            "eth_blockNumber", 10, rpc_endpoints.block_number, rpc_endpoints.block_number_sample, {"result": 5}
        ),
        _rpc_method(
            "eth_getLogs",
            75,
            rpc_endpoints.logs,
            rpc_endpoints.logs_sample,
            # Not a field of the logs: an answer without logs must have the wrong type too.
            {"result": {}},
            items_field="result",
            read_logs=read_asked_logs,
        ),
        _rpc_method(
            "eth_getBlockByNumber",
            20,
            rpc_endpoints.block_by_number,
            rpc_endpoints.block_by_number_sample,
            {"result": {"number": 5, "hash": [], "parentHash": None, "timestamp": {}}},
        ),
    )
}
"""The endpoints by name; prices from Alchemy's API reference, "Compute unit costs"."""
