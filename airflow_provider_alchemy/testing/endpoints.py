# SPDX-License-Identifier: Apache-2.0
"""The emulated endpoints: one table entry each, and the function that answers it.

A new endpoint is a new entry: routing, keys, metering, faults and the record of calls come with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_alchemy.testing.answers import Answer, error_answer, json_answer
from airflow_provider_alchemy.testing.checks import is_address
from airflow_provider_alchemy.testing.jobs import IN_PROGRESS, render_progress

if TYPE_CHECKING:
    from airflow_provider_alchemy.testing.routing import ApiRequest
    from airflow_provider_alchemy.testing.state import ServiceState

REINGEST_NETWORK = "eth-mainnet"
"""The one network that ``reingestContract`` ever served (Alchemy's API reference, "reingestContract")."""

_NOT_ON_THIS_NETWORK = (
    "This endpoint isn't enabled for that chain or network just yet - please contact the Alchemy team for support!"
)
_GONE = {404: "Not found", 410: "Gone", 400: "Unsupported method"}


@dataclass(frozen=True)
class Endpoint:
    """One endpoint of the NFT API.

    :param name: the last part of its path.
    :param method: its HTTP method.
    :param versions: the API versions that have it.
    :param compute_units: what a call is billed.
    :param throughput_units: what a call counts in the throughput window.
    :param answer: does the work and answers, for a call whose key and units are in order; gets the call,
        the state and the time.
    :param sample: the payload of a right answer to a call that never reached the service; touches nothing.
    :param address_field: the answer's field with the contract address.
    :param state_field: the answer's field with the refresh state, None where there is none.
    :param wrong_fields: one field with a value of the wrong type, for the fault ``wrong_types``.
    """

    name: str
    method: str
    versions: frozenset[str]
    compute_units: int
    throughput_units: int
    answer: Callable[[ApiRequest, ServiceState, float], Answer]
    sample: Callable[[ApiRequest], dict[str, Any]]
    address_field: str
    state_field: str | None
    wrong_fields: Mapping[str, object]


def _lower_address(request: ApiRequest) -> str:
    return (request.contract_address or "").lower()


def _reingest(request: ApiRequest, state: ServiceState, now: float) -> Answer:
    settings = state.settings
    if settings.reingest_gone is not None:
        return error_answer(settings.reingest_gone, _GONE[settings.reingest_gone])
    if request.network != REINGEST_NETWORK and not settings.reingest_on_every_network:
        return error_answer(400, _NOT_ON_THIS_NETWORK)
    if not is_address(request.contract_address):
        return error_answer(400, "Invalid arg")
    address = _lower_address(request)
    report = state.jobs.ask(request.network, address, now, settings)
    return json_answer(
        {
            "contractAddress": address,
            "reingestionState": report.state,
            "progress": render_progress(report.progress, settings.progress_form),
        }
    )


def _reingest_sample(request: ApiRequest) -> dict[str, Any]:
    return {"contractAddress": _lower_address(request), "reingestionState": IN_PROGRESS, "progress": None}


def _contract_metadata(request: ApiRequest, _state: ServiceState, _now: float) -> Answer:
    if not is_address(request.contract_address):
        return error_answer(400, "Invalid arg")
    return json_answer(_contract_metadata_sample(request))


def _contract_metadata_sample(request: ApiRequest) -> dict[str, Any]:
    return {
        "address": _lower_address(request),
        "name": "Emulated Collection",
        "symbol": "EMU",
        "totalSupply": "10000",
        "tokenType": "ERC721",
        "contractDeployer": "0x1111111111111111111111111111111111111111",
        "deployedBlockNumber": 12287507,
        "openSeaMetadata": {
            "floorPrice": 0.5,
            "collectionName": "Emulated Collection",
            "collectionSlug": "emulated-collection",
            "safelistRequestStatus": "verified",
            "imageUrl": None,
            "description": "A collection that exists in tests only.",
            "externalUrl": None,
            "twitterUsername": None,
            "discordUrl": None,
            "bannerImageUrl": None,
            "lastIngestedAt": "2026-01-01T00:00:00.000Z",
        },
        "isSpam": None,
        "spamClassifications": [],
    }


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
            address_field="contractAddress",
            state_field="reingestionState",
            wrong_fields={"reingestionState": 5},
        ),
        Endpoint(
            name="getContractMetadata",
            method="GET",
            versions=frozenset({"v3"}),
            compute_units=160,
            throughput_units=10,
            answer=_contract_metadata,
            sample=_contract_metadata_sample,
            address_field="address",
            state_field=None,
            wrong_fields={"name": 5, "totalSupply": {}},
        ),
    )
}
"""The endpoints by name; prices from Alchemy's API reference, "Compute unit costs"."""
