# SPDX-License-Identifier: Apache-2.0
"""
One description for each endpoint: how to build its request, what it costs, how to read its answer. No I/O.

Each function checks its arguments before anything is sent and gives a ``Call`` for a client. Prices are those of
Alchemy's page on compute units: what is billed, and what counts against the throughput. Alchemy's API reference shows
some answers as a bare array where its own SDKs read an object: both are read.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, ParamSpec, TypeVar
from urllib.parse import quote, urlencode

from airflow_provider_alchemy.api import inputs
from airflow_provider_alchemy.api.errors import (
    AlchemyArgumentError,
    AlchemyEndpointGoneError,
    AlchemyError,
    AlchemyHostNotFoundError,
    AlchemyListingError,
    AlchemyNetworkError,
    AlchemyTokenIdError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.api.models import (
    ContractMetadata,
    MetadataError,
    RefreshState,
    RefreshStatus,
    Token,
    TokenMetadata,
    TokenPage,
    TokenRefresh,
    TokensById,
)
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.defaults import DEFAULT_NETWORK

T = TypeVar("T")
P = ParamSpec("P")

TokenId = int | str
"""A token's id as a person writes it: an int, or decimal or hexadecimal digits."""

MAX_TOKENS_PER_CALL = 100
"""Tokens that one call of ``getNFTMetadataBatch`` takes, and that a page of ``getNFTsForContract`` holds."""

PAGE_ATTEMPTS = 10
"""How often a task tries a page of a listing, some five minutes: hundreds of calls are lost if one of them fails."""

SHOWN_CHARACTERS = 200

NOT_OFFERED = ("isn't enabled for that chain", "endpoint isn't enabled")
"""What Alchemy says where a network does not have an endpoint (its page on errors); it has no status of its own."""

MAX_MISSING_SHARE, MAX_MISSING = 0.1, 10
"""A list with fewer tokens than the contract's supply is complete up to a tenth, or ten tokens: some are burned."""

_USUAL_CONNECTION = "'alchemy_default'"
_CONNECTION = re.compile(r"connection ('[^']*')")
_UINT256 = re.compile(r"[0-9]{1,78}")
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,16}")
"""A number in JSON-RPC, of at most 64 bits."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint of Alchemy's NFT API, or a method of its node API (JSON-RPC): all of them have one path."""

    name: str
    version: str | None  # of its path; None: the connection chooses
    compute_units: int  # billed for a call
    throughput_units: int  # counted in the 10-second window
    method: str = "GET"
    advice_where_not_offered: str = ""
    is_rpc: bool = False


def _rpc(name: str, units: int) -> Endpoint:
    return Endpoint(name, "v2", compute_units=units, throughput_units=units, method="POST", is_rpc=True)


REINGEST_CONTRACT = Endpoint("reingestContract", None, compute_units=480, throughput_units=480)
GET_CONTRACT_METADATA = Endpoint("getContractMetadata", "v3", compute_units=160, throughput_units=10)
GET_CONTRACT_METADATA_BATCH = Endpoint(
    "getContractMetadataBatch", "v3", compute_units=480, throughput_units=100, method="POST"
)
GET_NFT_METADATA = Endpoint("getNFTMetadata", "v3", compute_units=80, throughput_units=10)
GET_NFT_METADATA_BATCH = Endpoint("getNFTMetadataBatch", "v3", compute_units=480, throughput_units=100, method="POST")
GET_NFTS_FOR_CONTRACT = Endpoint("getNFTsForContract", "v3", compute_units=600, throughput_units=50)

REFRESHING_NETWORKS = frozenset(
    ("eth-mainnet", "eth-sepolia", "polygon-mainnet", "polygon-amoy", "arb-mainnet", "opt-mainnet", "base-mainnet")
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
ETH_BLOCK_NUMBER = _rpc("eth_blockNumber", 10)
ETH_GET_LOGS = _rpc("eth_getLogs", 60)
"""The price of Alchemy's newest table; older ones say 75."""
ETH_GET_BLOCK_BY_NUMBER = _rpc("eth_getBlockByNumber", 20)


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One call of an endpoint: what it is about (for errors), what it sends, and how its answer is read."""

    endpoint: Endpoint
    subject: str
    read: Callable[[Any], T]
    params: dict[str, str] = field(default_factory=dict)
    body: Any = None
    advise: Callable[[AlchemyError], str] | None = None

    def advice_on(self, error: AlchemyError) -> str:
        """Give what to do about an error of the call."""
        if self.advise is not None:
            return self.advise(error)
        return (is_not_offered(error) and self.endpoint.advice_where_not_offered) or error.advice


@dataclass(frozen=True, slots=True)
class Request:
    """A request as both HTTP libraries take it. Its URL or its headers hold the key, so neither is ever shown."""

    method: str
    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    body: bytes | None = None


def build_request(call: Call[Any], settings: ClientSettings) -> Request:
    """Build the request of a call; with ``auth="header"`` the key is not in its URL (Alchemy's page on that)."""
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
    url = "/".join(parts if endpoint.is_rpc else [*parts, endpoint.name])
    return Request(endpoint.method, f"{url}?{urlencode(call.params)}" if call.params else url, headers, body)


def _without_key(build: Callable[P, Call[T]]) -> Callable[P, Call[T]]:
    """Take the key out of errors about arguments: people paste keys into other fields."""

    @functools.wraps(build)
    def build_or_refuse(*args: P.args, **kwargs: P.kwargs) -> Call[T]:
        try:
            return build(*args, **kwargs)
        except AlchemyArgumentError as error:
            key = next(arg.api_key for arg in (*args, *kwargs.values()) if isinstance(arg, ClientSettings))
            raise error.without(key) from None

    return build_or_refuse


@_without_key
def reingest_contract(contract_address: str, settings: ClientSettings) -> Call[RefreshStatus]:
    """Submit, join and report the refresh of a collection: one GET with three meanings."""
    address = inputs.read_contract_address(contract_address)

    def read(answer: Any) -> RefreshStatus:
        _check_contract("contractAddress", answer, address)
        state = answer.get("reingestionState")
        if not isinstance(state, str) or not state:
            msg = f"the answer has no reingestionState: {shown(answer)}"
            raise AlchemyUnexpectedAnswerError(msg)
        return RefreshStatus(
            contract_address=address,
            network=settings.network,
            state=RefreshState.read(state),
            progress=read_progress(answer.get("progress")),
            reported_state=state[:SHOWN_CHARACTERS],
        )

    def advise(error: AlchemyError) -> str:
        return advise_on_reingest(error, address, settings)

    return Call(REINGEST_CONTRACT, describe(address, settings), read, {"contractAddress": address}, advise=advise)


@_without_key
def get_contract_metadata(contract_address: str, settings: ClientSettings) -> Call[ContractMetadata]:
    """Read what Alchemy knows of a contract. It has no side effect, which makes it the connection test."""
    address = inputs.read_contract_address(contract_address)

    def read(answer: Any) -> ContractMetadata:
        return _read_contract_metadata(answer, address, settings.network)

    return Call(GET_CONTRACT_METADATA, describe(address, settings), read, {"contractAddress": address})


@_without_key
def get_contract_metadata_batch(
    contract_addresses: Iterable[str], settings: ClientSettings
) -> Call[dict[str, ContractMetadata]]:
    """Read what Alchemy knows of up to 100 contracts, by address. What the answer leaves out is not in the value."""
    addresses = inputs.read_contracts(contract_addresses).addresses
    _check_number(len(addresses), "contract_addresses", "contracts")

    def read(answer: Any) -> dict[str, ContractMetadata]:
        def read_one(item: Any) -> ContractMetadata:
            address = (_read_text(item.get("address")) if isinstance(item, dict) else None) or ""
            return _read_contract_metadata(item, address.lower(), settings.network)

        found: dict[str, ContractMetadata] = {}
        for metadata in _read_entries(answer, "contracts", read_one)[0]:
            if metadata.contract_address in addresses:
                found.setdefault(metadata.contract_address, metadata)
        return found

    subject = f"{len(addresses)} contracts on {settings.network} ({settings.source})"
    return Call(GET_CONTRACT_METADATA_BATCH, subject, read, body={"contractAddresses": list(addresses)})


@_without_key
def refresh_nft_metadata(contract_address: str, token_id: TokenId, settings: ClientSettings) -> Call[TokenRefresh]:
    """Queue the refresh of a token. Alchemy refreshes a token once in 15 minutes, over all users."""
    token = _read_token(contract_address, token_id)

    def read(answer: Any) -> TokenRefresh:
        fields = answer if isinstance(answer, dict) else {}
        status = _read_text(fields.get("status"))
        if status is None:
            msg = f"the answer has no status: {shown(answer)}"
            raise AlchemyUnexpectedAnswerError(msg)
        return TokenRefresh(token, status, _read_milliseconds(fields.get("estimatedMsToRefresh")))

    return Call(REFRESH_NFT_METADATA, _describe_token(token, settings), read, body=_token_fields(token))


@_without_key
def get_nft_metadata(
    contract_address: str,
    token_id: TokenId,
    settings: ClientSettings,
    *,
    refresh: bool = False,
    uri_timeout_ms: int | None = None,
) -> Call[TokenMetadata]:
    """Read what Alchemy knows of a token, or refresh it first; ``uri_timeout_ms=0``: what is cached."""
    token = _read_token(contract_address, token_id)

    def read(answer: Any) -> TokenMetadata:
        metadata = _read_nft(answer, token.contract_address)
        if metadata.token != token:
            msg = f"the answer is about another token, {metadata.token.token_id}"
            raise AlchemyUnexpectedAnswerError(msg)
        return metadata

    params = _token_fields(token)
    if refresh:
        params["refreshCache"] = "true"
    if uri_timeout_ms is not None:
        params["tokenUriTimeoutInMs"] = str(uri_timeout_ms)
    return Call(GET_NFT_METADATA, _describe_token(token, settings), read, params)


@_without_key
def get_nft_metadata_batch(
    contract_address: str,
    token_ids: Iterable[TokenId],
    settings: ClientSettings,
    *,
    refresh: bool = False,
    uri_timeout_ms: int | None = None,
) -> Call[TokensById]:
    """Read what Alchemy knows of up to 100 tokens, by id. What the answer leaves out is not in the value."""
    address = inputs.read_contract_address(contract_address)
    ids = inputs.read_token_ids(token_ids).ids
    _check_number(len(ids), "token_ids", "tokens")

    def read(answer: Any) -> TokensById:
        asked, found = frozenset(ids), TokensById()
        entries, found.unreadable = _read_entries(answer, "nfts", lambda item: _read_nft(item, address))
        for metadata in entries:
            # Of a token that is named twice the first is kept: no second entry may prove what the first denies.
            if metadata.token.token_id in asked:
                found.setdefault(metadata.token.token_id, metadata)
        return found

    body: dict[str, Any] = {"tokens": [_token_fields(Token(address, token_id)) for token_id in ids]}
    if refresh:
        body["refreshCache"] = True
    if uri_timeout_ms is not None:
        body["tokenUriTimeoutInMs"] = uri_timeout_ms
    return Call(GET_NFT_METADATA_BATCH, describe(address, settings), read, body=body)


@_without_key
def get_nfts_for_contract(
    contract_address: str,
    settings: ClientSettings,
    *,
    start_token: TokenId | None = None,
    with_metadata: bool = False,
    page_size: int = MAX_TOKENS_PER_CALL,
) -> Call[TokenPage]:
    """Read a page of a collection's tokens, from a token or from the ``next_key`` of the page before."""
    address = inputs.read_contract_address(contract_address)
    if not isinstance(page_size, int) or isinstance(page_size, bool):
        expected = f"expected a whole number from 1 to {MAX_TOKENS_PER_CALL}"
        msg = f"argument 'page_size' is {inputs.shown(page_size)}; {expected}"
        raise AlchemyArgumentError(msg)
    _check_number(page_size, "page_size", "tokens")

    def read(answer: Any) -> TokenPage:
        next_key = _read_page_key(answer.get("pageKey") if isinstance(answer, dict) else None)
        if not with_metadata:
            tokens, unreadable = _read_entries(answer, "nfts", lambda item: _token_of(item, address))
            return TokenPage(tuple(tokens), next_key=next_key, unreadable=unreadable)
        metadata, unreadable = _read_entries(answer, "nfts", lambda item: _read_nft(item, address))
        return TokenPage(tuple(one.token for one in metadata), tuple(metadata), next_key, unreadable)

    params = {"contractAddress": address, "withMetadata": str(with_metadata).lower(), "limit": str(page_size)}
    if start_token is not None:
        params["startToken"] = _read_start(start_token)
    return Call(GET_NFTS_FOR_CONTRACT, describe(address, settings), read, params)


class PageKeys:
    """The keys of the pages that were read: a page that leads back would be read without end, at 600 units each."""

    def __init__(self, first: TokenId | None = None) -> None:
        self._known = set() if first is None else {str(first)}

    def check(self, page: TokenPage, subject: str) -> None:
        """Refuse a page that names one that was read before as the next."""
        if page.next_key is None:
            return
        if page.next_key in self._known:
            msg = f"the page of tokens names {page.next_key[:80]!r} as the next page, which was read before"
            raise AlchemyUnexpectedAnswerError(msg, subject=subject)
        self._known.add(page.next_key)


def missing_of(supply: int | None, listed: int, subject: str) -> int:
    """
    Give how many tokens of a supply a whole listing left out; a few are burned ones.

    :raises AlchemyListingError: They are so many that the listing ended early.
    """
    missing = max((supply or 0) - listed, 0)
    if supply is not None and missing > max(supply * MAX_MISSING_SHARE, MAX_MISSING):
        msg = f"the contract has {supply:,} tokens, and Alchemy lists only {listed:,} of them"
        raise AlchemyListingError(msg, subject=subject)
    return missing


def failures_of_list(unreadable: int, unlisted: int) -> dict[str, dict[str, Any]]:
    """Count the tokens of a collection that its list does not name."""
    found = {"unreadable": unreadable, "not_listed": unlisted}
    return {reason: {"tokens": tokens, "token_ids": []} for reason, tokens in found.items() if tokens}


def block_number(settings: ClientSettings) -> Call[int]:
    """Ask for the number of the newest block."""
    return _call_rpc(ETH_BLOCK_NUMBER, [], _read_quantity, settings)


def get_logs(
    first_block: int,
    last_block: int,
    contracts: Sequence[str],
    topics: Sequence[Sequence[str]],
    settings: ClientSettings,
) -> Call[list[Any]]:
    """
    Ask for what contracts announced in some blocks; ``topics`` are alternatives for each position.

    The entries are to be read one by one: what does not decode must not spoil the others.
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
    return _call_rpc(ETH_GET_LOGS, [wanted], read, settings, f"blocks {first_block:,} to {last_block:,}")


def get_block_time(number: int, settings: ClientSettings) -> Call[datetime | None]:
    """Ask when a block was made; None where there is no such block (yet)."""

    def read(result: Any) -> datetime | None:
        if result is None:
            return None
        seconds = _read_quantity(result.get("timestamp") if isinstance(result, dict) else result)
        try:
            return datetime.fromtimestamp(seconds, UTC)
        except (ValueError, OverflowError, OSError):
            msg = f"the answer has no moment: {seconds}"
            raise AlchemyUnexpectedAnswerError(msg) from None

    return _call_rpc(ETH_GET_BLOCK_BY_NUMBER, [hex(number), False], read, settings, f"block {number:,}")


def _call_rpc(
    endpoint: Endpoint, params: list[Any], read: Callable[[Any], Any], settings: ClientSettings, what: str = ""
) -> Call[Any]:
    def read_result(answer: Any) -> Any:
        if not isinstance(answer, dict) or "result" not in answer:
            msg = f"the answer has no result: {shown(answer)}"
            raise AlchemyUnexpectedAnswerError(msg)
        return read(answer["result"])

    body = {"jsonrpc": "2.0", "id": 1, "method": endpoint.name, "params": params}
    return Call(endpoint, describe_chain(settings, what), read_result, body=body)


def price_of_listing(tokens: int) -> int:
    """Give the compute units of a listing, where every call is answered at once; one of nothing takes a call too."""
    return max(-(-tokens // MAX_TOKENS_PER_CALL), 1) * GET_NFTS_FOR_CONTRACT.compute_units


def price_of_poll(tokens: int) -> int:
    """Give the compute units of asking for some tokens once, where every call is answered at once."""
    return -(-tokens // MAX_TOKENS_PER_CALL) * GET_NFT_METADATA_BATCH.compute_units


def describe(contract_address: str, settings: ClientSettings) -> str:
    """Name a collection: ``collection 0x… on eth-mainnet (connection 'alchemy_default')``."""
    return f"collection {contract_address} on {settings.network} ({settings.source})"


def describe_chain(settings: ClientSettings, what: str = "") -> str:
    """Name what is read of a chain: ``blocks 100 to 110 of eth-mainnet (connection 'alchemy_default')``."""
    return f"{what or 'the chain'} of {settings.network} ({settings.source})"


def _describe_token(token: Token, settings: ClientSettings) -> str:
    return f"token {token.token_id} of {describe(token.contract_address, settings)}"


def is_not_offered(error: AlchemyError) -> bool:
    """Whether a network does not have an endpoint; not where only the app may not use it, which can be changed."""
    # By its text: of an error that crossed a process, no more is left than type and text.
    return isinstance(error, AlchemyNetworkError) and any(words in error.what.lower() for words in NOT_OFFERED)


def is_gone(error: AlchemyError) -> bool:
    """Whether an endpoint is not there (any more): neither a retry nor another key can help."""
    return isinstance(error, AlchemyEndpointGoneError | AlchemyHostNotFoundError) or is_not_offered(error)


def advise_on_reingest(error: AlchemyError, contract_address: str, settings: ClientSettings) -> str:
    """Give what to do about an error of ``reingestContract``, which Alchemy has deprecated: also what replaces it."""
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
    """Give the line of Python that refreshes a collection on today's API, without the operator's defaults."""
    arguments = {"task_id": "'refresh'", "contract_address": repr(contract_address)}
    if settings.network != DEFAULT_NETWORK:
        arguments["network"] = repr(settings.network)
    # A client knows no more of Airflow's connection than its name in texts.
    connection = _CONNECTION.fullmatch(settings.source)
    if connection is not None and connection[1] != _USUAL_CONNECTION:
        arguments["alchemy_conn_id"] = connection[1]
    return f"RefreshCollectionOperator({', '.join(f'{name}={value}' for name, value in arguments.items())})"


def _read_token(contract_address: str, token_id: Any) -> Token:
    return Token(inputs.read_contract_address(contract_address), inputs.read_token_id(token_id))


def _read_start(value: Any) -> str:
    """Check where a listing begins. The key of a page has a form of its own: any text but an empty one."""
    if not isinstance(value, str):
        return str(inputs.read_token_id(value, "start_token"))
    if not value.strip():
        msg = "argument 'start_token' is empty, or its template rendered to nothing; expected a token id or a page key"
        raise AlchemyTokenIdError(msg)
    return value


def _check_number(number: int, argument: str, things: str) -> None:
    if not 1 <= number <= MAX_TOKENS_PER_CALL:
        takes = f"one call takes 1 to {MAX_TOKENS_PER_CALL}"
        msg = f"argument {argument!r} stands for {inputs.shown(number)} {things}; {takes}"
        raise AlchemyArgumentError(msg)


def _token_fields(token: Token) -> dict[str, str]:
    return {"contractAddress": token.contract_address, "tokenId": str(token.token_id)}


def shown(answer: Any) -> str:
    """Show an answer that was not expected: its first characters."""
    return repr(answer)[:SHOWN_CHARACTERS]


def _check_contract(name: str, answer: Any, contract_address: str) -> None:
    """Check that an answer is an object, and about no other contract than the one that was asked about."""
    address = answer.get(name) if isinstance(answer, dict) else answer
    if not isinstance(answer, dict) or not (address is None or isinstance(address, str)):
        msg = f"the answer is not what the API reference shows: {shown(answer)}"
        raise AlchemyUnexpectedAnswerError(msg)
    if address is not None and address.lower() != contract_address:
        msg = f"the answer is about another contract, {address[:60]!r}"
        raise AlchemyUnexpectedAnswerError(msg)


def _read_contract_metadata(answer: Any, contract_address: str, network: str) -> ContractMetadata:
    """Read a contract's metadata; fields that are missing or of another type are None."""
    _check_contract("address", answer, contract_address)
    supply = str(answer.get("totalSupply"))
    return ContractMetadata(
        contract_address=contract_address,
        network=network,
        name=_read_text(answer.get("name")),
        symbol=_read_text(answer.get("symbol")),
        total_supply=int(supply) if _UINT256.fullmatch(supply) else None,
        token_type=_read_text(answer.get("tokenType")),
    )


def _read_entries(answer: Any, name: str, read: Callable[[Any], T]) -> tuple[list[T], int]:
    """
    Read the entries of a list: the answer itself, or its field of that name; give how many could not be read, too.

    One odd entry must not spoil the others of its page. Where none can be read the answer is the odd one.
    """
    items = answer.get(name) if isinstance(answer, dict) else answer
    if not isinstance(items, list):
        msg = f"the answer is no list and has none in its field {name!r}: {shown(answer)}"
        raise AlchemyUnexpectedAnswerError(msg)
    found: list[T] = []
    error: AlchemyUnexpectedAnswerError | None = None
    for item in items:
        try:
            found.append(read(item))
        except AlchemyUnexpectedAnswerError as failure:
            error = failure
    if error is not None and not found:
        raise error
    return found, len(items) - len(found)


def _read_nft(answer: Any, contract_address: str) -> TokenMetadata:
    """Read an NFT; fields that are missing or of another type are None."""
    token = _token_of(answer, contract_address)
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
        error_text=error_text[:SHOWN_CHARACTERS],
        name=_read_text(answer.get("name")),
        description=_read_text(answer.get("description")),
        token_type=_read_text(answer.get("tokenType")),
        token_uri=_read_text(answer.get("tokenUri")) or _read_text(raw.get("tokenUri")),
        image_url=_read_text(image.get("cachedUrl")) or _read_text(image.get("originalUrl")),
    )


def _token_of(answer: Any, contract_address: str) -> Token:
    contract = answer.get("contract") if isinstance(answer, dict) else None
    if contract is not None:
        _check_contract("address", contract, contract_address)
    _check_contract("contractAddress", answer, contract_address)
    try:
        return Token(contract_address, inputs.read_token_id(answer.get("tokenId")))
    except AlchemyTokenIdError:
        msg = f"the answer has an NFT without a token id: {shown(answer)}"
        raise AlchemyUnexpectedAnswerError(msg) from None


def _read_text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _read_page_key(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str | int) and not isinstance(value, bool):
        return str(value)
    # Taken for the last page, it would make a collection look smaller than it is.
    msg = f"the answer's pageKey is {shown(value)}"
    raise AlchemyUnexpectedAnswerError(msg)


def _read_quantity(value: Any) -> int:
    if not isinstance(value, str) or not _QUANTITY.fullmatch(value):
        msg = f"the answer has no hexadecimal number: {shown(value)}"
        raise AlchemyUnexpectedAnswerError(msg)
    return int(value, 16)


def _read_milliseconds(value: Any) -> float | None:
    """Read a duration that is documented as text and shown as a number; give seconds."""
    try:
        seconds = float(value) / 1000
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < float("inf") else None


def read_progress(value: Any) -> float | None:
    """Read a ``progress``: documented as a string, seen as null, ``0``, ``5``, ``"5"``, ``"5%"`` and ``""``."""
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


def read_time(value: Any) -> datetime | None:
    """Read a ``timeLastUpdated``, in UTC where it names no time zone; None for anything else: it proves nothing."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
