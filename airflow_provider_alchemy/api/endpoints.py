# SPDX-License-Identifier: Apache-2.0
"""
One entry per endpoint: how to build its request, what it costs, how to read its answer. No I/O.

Prices are those of Alchemy's page on compute units: what is billed, and what counts against the throughput.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from airflow_provider_alchemy.api.errors import AlchemyError, AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.api.missing_endpoints import advise_on_reingest, is_not_offered
from airflow_provider_alchemy.api.models import (
    ContractMetadata,
    RefreshState,
    RefreshStatus,
    read_progress,
)
from airflow_provider_alchemy.api.settings import ClientSettings

T = TypeVar("T")

SHOWN_CHARACTERS = 200

_SUPPLY = re.compile(r"[0-9]{1,78}")
"""A uint256 in decimal digits."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    An endpoint of Alchemy's NFT API, or a method of its node API.

    :param name: Last part of its path.
    :param version: Its path version; None where the connection chooses.
    :param compute_units: Units billed for a call.
    :param throughput_units: Units counted in the 10-second window.
    :param method: HTTP method.
    :param advice_where_not_offered: What to do on a network that does not have it; empty: the error's own advice.
    :param is_rpc: Whether it is a method of the node API (JSON-RPC): all of them have one path, without a name.
    """

    name: str
    version: str | None
    compute_units: int
    throughput_units: int
    method: str = "GET"
    advice_where_not_offered: str = ""
    is_rpc: bool = False


REINGEST_CONTRACT = Endpoint("reingestContract", None, compute_units=480, throughput_units=480)
GET_CONTRACT_METADATA = Endpoint("getContractMetadata", "v3", compute_units=160, throughput_units=10)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """
    One call of an endpoint.

    :param endpoint: The endpoint.
    :param subject: What the call is about, for errors.
    :param read: Makes the value out of the answer's JSON; raises AlchemyUnexpectedAnswerError.
    :param params: Query parameters.
    :param body: What a POST sends, as JSON values.
    :param advise: Gives what to do about an error; default: what the endpoint or the error itself says.
    """

    endpoint: Endpoint
    subject: str
    read: Callable[[Any], T]
    params: dict[str, str] = field(default_factory=dict)
    body: Any = None
    advise: Callable[[AlchemyError], str] | None = None

    def advice_on(self, error: AlchemyError) -> str:
        """
        Give what to do about an error of the call.

        :param error: What went wrong.
        :return: The advice; of the error itself where the call knows nothing better.
        """
        if self.advise is not None:
            return self.advise(error)
        return (is_not_offered(error) and self.endpoint.advice_where_not_offered) or error.advice


@dataclass(frozen=True, slots=True)
class Request:
    """
    A request as both HTTP libraries take it. Its URL or headers hold the key, so it is never shown.

    :param method: HTTP method.
    :param url: The URL without its query.
    :param params: Query parameters.
    :param headers: HTTP headers.
    :param body: JSON; None: nothing.
    """

    method: str
    url: str = field(repr=False)
    params: dict[str, str]
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = None


def build_request(call: Call[Any], settings: ClientSettings) -> Request:
    """
    Build the request of a call.

    :param call: The call.
    :param settings: Whose account, where, and where the key goes.
    :return: The request. With ``auth="header"`` the key is not in its URL (Alchemy's page on authentication).
    """
    endpoint = call.endpoint
    parts = [settings.base_url, *([] if endpoint.is_rpc else ["nft"]), endpoint.version or settings.api_version]
    headers = {"Accept": "application/json"}
    if settings.auth == "header":
        headers["Authorization"] = f"Bearer {settings.api_key}"
    else:
        parts.append(quote(settings.api_key, safe=""))
    body = None if call.body is None else json.dumps(call.body, separators=(",", ":")).encode()
    if body is not None:
        headers["Content-Type"] = "application/json"
    parts += [] if endpoint.is_rpc else [endpoint.name]
    return Request(endpoint.method, "/".join(parts), call.params, headers, body)


def reingest_contract(contract_address: str, settings: ClientSettings) -> Call[RefreshStatus]:
    """
    Submit, join and report the refresh of a collection: one GET with three meanings.

    :param contract_address: The contract, checked and in lower case.
    :param settings: Network and source, for the status and for errors.
    :return: The call; its value is the refresh's status.
    """

    def read(answer: Any) -> RefreshStatus:
        return read_refresh_status(answer, contract_address, settings.network)

    def advise(error: AlchemyError) -> str:
        return advise_on_reingest(error, contract_address, settings)

    subject = describe(contract_address, settings)
    return Call(REINGEST_CONTRACT, subject, read, {"contractAddress": contract_address}, advise=advise)


def get_contract_metadata(contract_address: str, settings: ClientSettings) -> Call[ContractMetadata]:
    """
    Read what Alchemy knows of a contract. It has no side effect, which makes it the connection test.

    :param contract_address: The contract, checked and in lower case.
    :param settings: Network and source, for the value and for errors.
    :return: The call; its value is the contract's metadata.
    """

    def read(answer: Any) -> ContractMetadata:
        return read_contract_metadata(answer, contract_address, settings.network)

    subject = describe(contract_address, settings)
    return Call(GET_CONTRACT_METADATA, subject, read, {"contractAddress": contract_address})


def describe(contract_address: str, settings: ClientSettings) -> str:
    """
    Name a collection for a person.

    :param contract_address: The contract.
    :param settings: Network and source.
    :return: For example ``collection 0x… on eth-mainnet (connection 'alchemy_default')``.
    """
    return f"collection {contract_address} on {settings.network} ({settings.source})"


def read_refresh_status(answer: Any, contract_address: str, network: str) -> RefreshStatus:
    """
    Read the answer of ``reingestContract``.

    :param answer: The answer's JSON.
    :param contract_address: The contract that was asked about, in lower case.
    :param network: The network's slug.
    :return: The status. A state that is not documented is UNKNOWN, hence pending, and never ``finished``.
    :raises AlchemyUnexpectedAnswerError: The answer has another shape, or is about another contract.
    """
    check_contract("contractAddress", answer, contract_address)
    state = answer.get("reingestionState")
    if not isinstance(state, str) or not state:
        msg = f"the answer has no reingestionState: {shown(answer)}"
        raise AlchemyUnexpectedAnswerError(msg)
    return RefreshStatus(
        contract_address=contract_address,
        network=network,
        state=RefreshState.read(state),
        progress=read_progress(answer.get("progress")),
        reported_state=state[:SHOWN_CHARACTERS],
    )


def read_contract_metadata(answer: Any, contract_address: str, network: str) -> ContractMetadata:
    """
    Read the answer of ``getContractMetadata``.

    :param answer: The answer's JSON.
    :param contract_address: The contract that was asked about, in lower case.
    :param network: The network's slug.
    :return: The contract's metadata; fields that are missing or of another type are None.
    :raises AlchemyUnexpectedAnswerError: The answer has another shape, or is about another contract.
    """
    check_contract("address", answer, contract_address)
    supply = str(answer.get("totalSupply"))
    return ContractMetadata(
        contract_address=contract_address,
        network=network,
        name=read_text(answer.get("name")),
        symbol=read_text(answer.get("symbol")),
        total_supply=int(supply) if _SUPPLY.fullmatch(supply) else None,
        token_type=read_text(answer.get("tokenType")),
    )


def check_contract(name: str, answer: Any, contract_address: str) -> None:
    """
    Check that an answer is about the contract that was asked about.

    :param name: The field with the contract's address.
    :param answer: The answer's JSON.
    :param contract_address: The contract, in lower case.
    :raises AlchemyUnexpectedAnswerError: It is about another, or no object.
    """
    told = answer.get(name) if isinstance(answer, dict) else answer
    if not isinstance(answer, dict) or not (told is None or isinstance(told, str)):
        msg = f"the answer is not what the API reference shows: {shown(answer)}"
        raise AlchemyUnexpectedAnswerError(msg)
    if told is not None and told.lower() != contract_address:
        msg = f"the answer is about another contract, {told[:60]!r}"
        raise AlchemyUnexpectedAnswerError(msg)


def read_text(value: Any) -> str | None:
    """
    Read a field that may be missing.

    :param value: What the answer holds.
    :return: The text; None where it is empty or of another type.
    """
    return value if isinstance(value, str) and value else None


def shown(answer: Any) -> str:
    """
    Show an answer that nobody expected.

    :param answer: The answer's JSON.
    :return: Its first characters.
    """
    return repr(answer)[:SHOWN_CHARACTERS]
