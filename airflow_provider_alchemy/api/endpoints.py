# SPDX-License-Identifier: Apache-2.0
"""
One entry per endpoint: how to build its request, what it costs, how to read its answer. No I/O.

Prices are those of Alchemy's page on compute units: what is billed, and what counts against the throughput.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import pendulum
from pendulum import UTC, DateTime

from airflow_provider_alchemy.api.errors import (
    AlchemyArgumentError,
    AlchemyEndpointGoneError,
    AlchemyError,
    AlchemyHostNotFoundError,
    AlchemyNetworkError,
    AlchemyTokenIdError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.api.inputs import read_contract_address, read_contracts, read_token_id, read_token_ids
from airflow_provider_alchemy.api.inputs import shown as shown_input
from airflow_provider_alchemy.api.models import (
    DEFAULT_NETWORK,
    ContractMetadata,
    MetadataError,
    RefreshState,
    RefreshStatus,
    Token,
    TokenMetadata,
    TokenPage,
    TokenRefresh,
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


NOT_OFFERED = ("isn't enabled for that chain", "endpoint isn't enabled")
"""What Alchemy says where a network does not have an endpoint (its page on errors); it has no status of its own."""

USUAL_CONNECTION = "'alchemy_default'"

_CONNECTION = re.compile(r"connection ('[^']*')")


def is_not_offered(error: AlchemyError) -> bool:
    """
    Tell whether an error says that a network does not have an endpoint.

    :param error: What went wrong, perhaps in another process: of its type only the text is left then.
    :return: Whether it does. False where only the app may not use the network, which the user can mend.
    """
    return isinstance(error, AlchemyNetworkError) and any(words in error.what.lower() for words in NOT_OFFERED)


def is_gone(error: AlchemyError) -> bool:
    """
    Tell whether an endpoint is not there (any more): neither a retry nor another key can help.

    :param error: What went wrong.
    :return: Whether the endpoint or its host is gone, or the network does not have it.
    """
    return isinstance(error, AlchemyEndpointGoneError | AlchemyHostNotFoundError) or is_not_offered(error)


def advise_on_reingest(error: AlchemyError, contract_address: str, settings: ClientSettings) -> str:
    """
    Give what to do about an error of ``reingestContract``.

    :param error: What went wrong.
    :param contract_address: The collection's contract.
    :param settings: Network and source.
    :return: The error's own advice; where the endpoint is not there, the line that refreshes the collection all the
        same.
    """
    if not is_gone(error):
        return error.advice
    instead = (
        f"refresh the collection's tokens instead: {line_instead(contract_address, settings)} from "
        "airflow_provider_alchemy.operators.collection"
    )
    if is_not_offered(error):
        return f"reingestContract knows {DEFAULT_NETWORK} only: {instead}"
    if isinstance(error, AlchemyHostNotFoundError):
        return f"{error.advice}. If the host is gone for good, {instead}"
    return (
        f"Alchemy has deprecated reingestContract: {instead}. If it should be there, leave the connection's host "
        "empty or try the other api_version in its extra"
    )


def line_instead(contract_address: str, settings: ClientSettings) -> str:
    """
    Give the line that refreshes a collection on today's API.

    :param contract_address: The collection's contract.
    :param settings: Network and source.
    :return: Python; only what differs from the operator's defaults is in it.
    """
    arguments = {"task_id": "'refresh'", "contract_address": repr(contract_address)}
    if settings.network != DEFAULT_NETWORK:
        arguments["network"] = repr(settings.network)
    # A client knows of Airflow's connection no more than what people are told of it.
    connection = _CONNECTION.fullmatch(settings.source)
    if connection is not None and connection[1] != USUAL_CONNECTION:
        arguments["alchemy_conn_id"] = connection[1]
    return f"RefreshCollectionOperator({', '.join(f'{name}={value}' for name, value in arguments.items())})"


MOST_TOKENS = 100
"""Tokens that one call of ``getNFTMetadataBatch`` takes, and that a page of ``getNFTsForContract`` holds."""

GET_NFT_METADATA = Endpoint("getNFTMetadata", "v3", compute_units=80, throughput_units=10)
GET_NFT_METADATA_BATCH = Endpoint("getNFTMetadataBatch", "v3", compute_units=480, throughput_units=100, method="POST")
GET_NFTS_FOR_CONTRACT = Endpoint("getNFTsForContract", "v3", compute_units=600, throughput_units=50)
GET_CONTRACT_METADATA_BATCH = Endpoint(
    "getContractMetadataBatch", "v3", compute_units=480, throughput_units=100, method="POST"
)

REFRESHING_NETWORKS = frozenset(
    {
        "eth-mainnet",
        "eth-sepolia",
        "polygon-mainnet",
        "polygon-amoy",
        "arb-mainnet",
        "opt-mainnet",
        "base-mainnet",
    }
)
"""Where Alchemy's API reference offers ``refreshNftMetadata``."""

REFRESH_NFT_METADATA = Endpoint(
    "refreshNftMetadata",
    "v3",
    compute_units=40,
    throughput_units=10,
    method="POST",
    advice_where_not_offered="Refresh the tokens with getNFTMetadataBatch, which every network has (method='batch' of "
    f"RefreshCollectionOperator): refreshNftMetadata is offered on {', '.join(sorted(REFRESHING_NETWORKS))} only",
)


def refresh_nft_metadata(token: Token, settings: ClientSettings) -> Call[TokenRefresh]:
    """
    Queue the refresh of a token. Alchemy refreshes a token once in 15 minutes, over all users.

    :param token: The token.
    :param settings: Network and source, for errors.
    :return: The call; its value is what the service says to it.
    """

    def read(answer: Any) -> TokenRefresh:
        told = answer if isinstance(answer, dict) else {}
        status = read_text(told.get("status"))
        if status is None:
            msg = f"the answer has no status: {shown(answer)}"
            raise AlchemyUnexpectedAnswerError(msg)
        return TokenRefresh(token, status, _read_milliseconds(told.get("estimatedMsToRefresh")))

    body = {"contractAddress": token.contract_address, "tokenId": str(token.token_id)}
    return Call(REFRESH_NFT_METADATA, describe_token(token, settings), read, body=body)


def get_nft_metadata(
    token: Token, settings: ClientSettings, *, refresh: bool = False, uri_timeout_ms: int | None = None
) -> Call[TokenMetadata]:
    """
    Read what Alchemy knows of a token.

    :param token: The token.
    :param settings: Network and source, for errors.
    :param refresh: Whether to refresh it first (``refreshCache``).
    :param uri_timeout_ms: How long the service may wait for the token's URI; 0: what it knows. Default: its own.
    :return: The call; its value is the token's metadata.
    """

    def read(answer: Any) -> TokenMetadata:
        metadata = read_nft(answer, token.contract_address)
        if metadata.token != token:
            msg = f"the answer is about another token, {metadata.token.token_id}"
            raise AlchemyUnexpectedAnswerError(msg)
        return metadata

    params = {"contractAddress": token.contract_address, "tokenId": str(token.token_id)}
    if refresh:
        params["refreshCache"] = "true"
    if uri_timeout_ms is not None:
        params["tokenUriTimeoutInMs"] = str(uri_timeout_ms)
    return Call(GET_NFT_METADATA, describe_token(token, settings), read, params)


def get_nft_metadata_batch(
    contract_address: str,
    token_ids: Sequence[int],
    settings: ClientSettings,
    *,
    refresh: bool = False,
    uri_timeout_ms: int | None = None,
) -> Call[dict[int, TokenMetadata]]:
    """
    Read what Alchemy knows of up to 100 tokens of a contract.

    :param contract_address: The contract, checked and in lower case.
    :param token_ids: The tokens' ids.
    :param settings: Network and source, for errors.
    :param refresh: Whether to refresh them first (``refreshCache``).
    :param uri_timeout_ms: How long the service may wait for a token's URI; 0: what it knows. Default: its own.
    :return: The call; its value is the metadata by token id. Tokens that the answer leaves out are not in it.
    """

    def read(answer: Any) -> dict[int, TokenMetadata]:
        asked = frozenset(token_ids)
        found: dict[int, TokenMetadata] = {}
        for item in read_items(answer, "nfts"):
            metadata = read_nft(item, contract_address)
            # Of a token that is named twice the first is kept: no second entry may prove what the first denies.
            if metadata.token.token_id in asked:
                found.setdefault(metadata.token.token_id, metadata)
        return found

    body: dict[str, Any] = {
        "tokens": [{"contractAddress": contract_address, "tokenId": str(token_id)} for token_id in token_ids]
    }
    if refresh:
        body["refreshCache"] = True
    if uri_timeout_ms is not None:
        body["tokenUriTimeoutInMs"] = uri_timeout_ms
    return Call(GET_NFT_METADATA_BATCH, describe(contract_address, settings), read, body=body)


def get_nfts_for_contract(
    contract_address: str,
    settings: ClientSettings,
    *,
    start_token: str | None = None,
    with_metadata: bool = False,
    limit: int = MOST_TOKENS,
) -> Call[TokenPage]:
    """
    Read a page of a collection's tokens.

    :param contract_address: The contract, checked and in lower case.
    :param settings: Network and source, for errors.
    :param start_token: Where the page begins (the page before tells); default: the first token.
    :param with_metadata: Whether to read what is known of each token too.
    :param limit: Tokens in the page, 1 to 100.
    :return: The call; its value is the page.
    """

    def read(answer: Any) -> TokenPage:
        items = read_items(answer, "nfts")
        next_key = _read_page_key(answer.get("pageKey") if isinstance(answer, dict) else None)
        if not with_metadata:
            return TokenPage(tuple(_read_token(item, contract_address) for item in items), next_key=next_key)
        metadata = tuple(read_nft(item, contract_address) for item in items)
        return TokenPage(tuple(one.token for one in metadata), metadata, next_key)

    params = {"contractAddress": contract_address, "withMetadata": str(with_metadata).lower(), "limit": str(limit)}
    if start_token is not None:
        params["startToken"] = start_token
    return Call(GET_NFTS_FOR_CONTRACT, describe(contract_address, settings), read, params)


def get_contract_metadata_batch(
    contract_addresses: Sequence[str], settings: ClientSettings
) -> Call[dict[str, ContractMetadata]]:
    """
    Read what Alchemy knows of several contracts.

    :param contract_addresses: The contracts, checked and in lower case.
    :param settings: Network and source, for the values and for errors.
    :return: The call; its value is the metadata by contract. Contracts that the answer leaves out are not in it.
    """

    def read(answer: Any) -> dict[str, ContractMetadata]:
        found: dict[str, ContractMetadata] = {}
        for item in read_items(answer, "contracts"):
            address = (read_text(item.get("address")) or "").lower()
            if address in contract_addresses:
                found.setdefault(address, read_contract_metadata(item, address, settings.network))
        return found

    subject = f"{len(contract_addresses)} contracts on {settings.network} ({settings.source})"
    return Call(GET_CONTRACT_METADATA_BATCH, subject, read, body={"contractAddresses": list(contract_addresses)})


def describe_token(token: Token, settings: ClientSettings) -> str:
    """
    Name a token for a person.

    :param token: The token.
    :param settings: Network and source.
    :return: For example ``token 7 of collection 0x… on eth-mainnet (connection 'alchemy_default')``.
    """
    return f"token {token.token_id} of {describe(token.contract_address, settings)}"


def read_items(answer: Any, name: str) -> list[dict[str, Any]]:
    """
    Take a list out of an answer, in both its shapes.

    :param answer: The answer's JSON: an array, or an object that has it as a field.
    :param name: The field.
    :return: The items.
    :raises AlchemyUnexpectedAnswerError: There is no list, or something else than objects in it.
    """
    items = answer.get(name) if isinstance(answer, dict) else answer
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        msg = f"the answer is no list and has none in its field {name!r}: {shown(answer)}"
        raise AlchemyUnexpectedAnswerError(msg)
    return items


def read_nft(answer: Any, contract_address: str) -> TokenMetadata:
    """
    Read an NFT.

    :param answer: Its JSON.
    :param contract_address: The contract that was asked about, in lower case.
    :return: The metadata; fields that are missing or of another type are None.
    :raises AlchemyUnexpectedAnswerError: It has another shape, or is of another contract.
    """
    token = _read_token(answer, contract_address)
    raw = answer.get("raw")
    raw = raw if isinstance(raw, dict) else {}
    error = raw.get("error") or answer.get("error")
    # An error in another form is one all the same: it must not pass for a proof.
    error_text = "" if not error else error if isinstance(error, str) else shown(error)
    image = answer.get("image")
    image = image if isinstance(image, dict) else {}
    return TokenMetadata(
        token=token,
        time_last_updated=read_time(answer.get("timeLastUpdated")),
        error=MetadataError.read(error_text) if error_text else None,
        error_text=error_text[:200],
        name=read_text(answer.get("name")),
        description=read_text(answer.get("description")),
        token_type=read_text(answer.get("tokenType")),
        token_uri=read_text(answer.get("tokenUri")) or read_text(raw.get("tokenUri")),
        image_url=read_text(image.get("cachedUrl")) or read_text(image.get("originalUrl")),
    )


def _read_token(answer: Any, contract_address: str) -> Token:
    contract = answer.get("contract") if isinstance(answer, dict) else None
    if contract is not None:
        check_contract("address", contract, contract_address)
    check_contract("contractAddress", answer, contract_address)
    try:
        return Token(contract_address, read_token_id(answer.get("tokenId")))
    except AlchemyTokenIdError:
        msg = f"the answer has an NFT without a token id: {shown(answer)}"
        raise AlchemyUnexpectedAnswerError(msg) from None


def _read_page_key(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    # Taken for the last page, it would make a collection look smaller than it is.
    msg = f"the answer's pageKey is {shown(value)}"
    raise AlchemyUnexpectedAnswerError(msg)


def _read_milliseconds(value: Any) -> float | None:
    """Read a duration that is documented as text and shown as a number."""
    try:
        seconds = float(value) / 1000
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,16}")
"""A number in JSON-RPC, of at most 64 bits."""


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
    topics: Sequence[Sequence[str]],
    settings: ClientSettings,
) -> Call[list[Any]]:
    """
    Ask for what contracts announced.

    :param first_block: The first block.
    :param last_block: The last one, which is asked as well.
    :param contracts: The contracts, in lower case.
    :param topics: The topics that count: alternatives for each position.
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
        "topics": topics,
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
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        msg = f"the answer has no hexadecimal number: {shown(value)}"
        raise AlchemyUnexpectedAnswerError(msg)
    return int(value, 16)


def pages_of(tokens: int) -> int:
    """
    Tell how many calls a listing takes.

    :param tokens: Tokens in it.
    :return: Calls; a listing of nothing takes one too.
    """
    return max(-(-tokens // MOST_TOKENS), 1)


def price_of_listing(tokens: int) -> int:
    """
    Tell what a listing costs.

    :param tokens: Tokens in it.
    :return: Compute units, where every call is answered at once.
    """
    return pages_of(tokens) * GET_NFTS_FOR_CONTRACT.compute_units


def calls_of_look(tokens: int) -> int:
    """
    Tell how many calls it takes to ask for some tokens once.

    :param tokens: The tokens; none take none.
    :return: Calls.
    """
    return -(-tokens // MOST_TOKENS)


def price_of_look(tokens: int) -> int:
    """
    Tell what it costs to ask for some tokens once.

    :param tokens: The tokens; none cost nothing.
    :return: Compute units, where every call is answered at once.
    """
    return calls_of_look(tokens) * GET_NFT_METADATA_BATCH.compute_units


LEAST_PRICE_OF_SAMPLE = (
    GET_CONTRACT_METADATA.compute_units + GET_NFTS_FOR_CONTRACT.compute_units + GET_NFT_METADATA_BATCH.compute_units
)
"""Compute units of the smallest collection that is sampled and asked for once."""
PAGE_ATTEMPTS = 10
"""How often a task tries a page of a listing: hundreds of calls are for nothing if one of them fails. Some five minutes
pass until then."""

TokenId = int | str
"""A token's id as a person writes it: an int, or decimal or hexadecimal digits."""


class TokenCalls:
    """
    Calls with checked arguments, for both clients.

    :param settings: Whose account, and the way to it.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings

    def refresh_nft_metadata(self, contract_address: str, token_id: TokenId) -> Call[TokenRefresh]:
        """Check the arguments of ``refreshNftMetadata``."""
        return self._checked(lambda: refresh_nft_metadata(_checked_token(contract_address, token_id), self._settings))

    def get_nft_metadata(
        self, contract_address: str, token_id: TokenId, *, refresh: bool, uri_timeout_ms: int | None
    ) -> Call[TokenMetadata]:
        """Check the arguments of ``getNFTMetadata``."""
        return self._checked(
            lambda: get_nft_metadata(
                _checked_token(contract_address, token_id),
                self._settings,
                refresh=refresh,
                uri_timeout_ms=uri_timeout_ms,
            )
        )

    def get_nft_metadata_batch(
        self, contract_address: str, token_ids: Iterable[TokenId], *, refresh: bool, uri_timeout_ms: int | None
    ) -> Call[dict[int, TokenMetadata]]:
        """Check the arguments of ``getNFTMetadataBatch``."""

        def build() -> Call[dict[int, TokenMetadata]]:
            address = read_contract_address(contract_address)
            ids = read_token_ids(token_ids).ids
            _check_number(len(ids), "token_ids", "tokens")
            return get_nft_metadata_batch(address, ids, self._settings, refresh=refresh, uri_timeout_ms=uri_timeout_ms)

        return self._checked(build)

    def get_nfts_for_contract(
        self, contract_address: str, *, start_token: TokenId | None, with_metadata: bool, page_size: int
    ) -> Call[TokenPage]:
        """Check the arguments of ``getNFTsForContract``."""

        def build() -> Call[TokenPage]:
            if not isinstance(page_size, int) or isinstance(page_size, bool):
                msg = (
                    f"argument 'page_size' is {shown_input(page_size)}; expected a whole number from 1 to {MOST_TOKENS}"
                )
                raise AlchemyArgumentError(msg)
            _check_number(page_size, "page_size", "tokens")
            return get_nfts_for_contract(
                read_contract_address(contract_address),
                self._settings,
                start_token=None if start_token is None else _read_start(start_token),
                with_metadata=with_metadata,
                limit=page_size,
            )

        return self._checked(build)

    def get_contract_metadata_batch(self, contract_addresses: Sequence[str]) -> Call[dict[str, ContractMetadata]]:
        """Check the arguments of ``getContractMetadataBatch``."""

        def build() -> Call[dict[str, ContractMetadata]]:
            addresses = read_contracts(contract_addresses).addresses
            _check_number(len(addresses), "contract_addresses", "contracts")
            return get_contract_metadata_batch(addresses, self._settings)

        return self._checked(build)

    def _checked(self, build: Callable[[], Call[T]]) -> Call[T]:
        try:
            return build()
        except AlchemyArgumentError as error:
            # People paste keys into other fields.
            raise error.without(self._settings.api_key) from None


class PageKeys:
    """
    The keys of the pages that were read: a page that leads back would be read for ever, at 600 units each.

    :param first: Where the reading began.
    """

    def __init__(self, first: TokenId | None = None) -> None:
        self._known = set() if first is None else {str(first)}

    def check(self, page: TokenPage, subject: str) -> None:
        """
        Check where a page leads.

        :param page: The page.
        :param subject: The collection, the network and the connection, for the error.
        :raises AlchemyUnexpectedAnswerError: It names a page that was read before.
        """
        if page.next_key is None:
            return
        if page.next_key in self._known:
            msg = f"the page of tokens names {page.next_key[:80]!r} as the next page, which was read before"
            raise AlchemyUnexpectedAnswerError(msg, subject=subject)
        self._known.add(page.next_key)


def _checked_token(contract_address: str, token_id: Any) -> Token:
    return Token(read_contract_address(contract_address), read_token_id(token_id))


def _read_start(value: Any) -> str:
    """Check where a listing begins. The key of a page has a form of its own: any text but an empty one."""
    if not isinstance(value, str):
        return str(read_token_id(value, "start_token"))
    if not value.strip():
        msg = "argument 'start_token' is empty, or its template rendered to nothing; expected a token id or a page key"
        raise AlchemyTokenIdError(msg)
    return value


def _check_number(number: int, argument: str, things: str) -> None:
    if not 1 <= number <= MOST_TOKENS:
        msg = f"argument {argument!r} stands for {shown_input(number)} {things}; one call takes 1 to {MOST_TOKENS}"
        raise AlchemyArgumentError(msg)


def read_progress(value: Any) -> float | None:
    """
    Read a ``progress``: documented as a string, seen as null, ``0``, ``5``, ``"5"``, ``"5%"`` and ``""``.

    :param value: What the answer holds.
    :return: 0 to 100 (an int where it is whole); None for anything else, because nothing depends on it.
    """
    if isinstance(value, str):
        try:
            value = float(value.strip().removesuffix("%"))
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if not 0 <= value <= 100:  # noqa: PLR2004 - a percentage; not a number (NaN) is outside too
        return None
    return int(value) if value == int(value) else float(value)


def read_time(value: Any) -> DateTime | None:
    """
    Read a ``timeLastUpdated``.

    :param value: What the answer holds: ISO 8601, in UTC where it names no time zone.
    :return: The moment, aware; None for anything else, because it would prove nothing.
    """
    if not isinstance(value, str):
        return None
    try:
        moment = DateTime.fromisoformat(value.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
