# SPDX-License-Identifier: Apache-2.0
"""
The endpoints of single tokens: how to build each request, what it costs, how to read its answer. No I/O.

Alchemy's API reference shows some answers as a bare array where its own SDKs read an object: both are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_provider_alchemy.api.endpoints import (
    Call,
    Endpoint,
    check_contract,
    describe,
    read_contract_metadata,
    read_text,
    shown,
)
from airflow_provider_alchemy.api.errors import AlchemyTokenIdError, AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.api.models import ContractMetadata
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.tokens import (
    MetadataError,
    Token,
    TokenMetadata,
    TokenPage,
    TokenRefresh,
    read_time,
    read_token_id,
)

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
