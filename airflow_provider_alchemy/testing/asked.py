# SPDX-License-Identifier: Apache-2.0
"""What a call asks about: its contract and its tokens, from the query or from the JSON body.

Pure functions that refuse nothing by themselves: a call that the service refuses is recorded as well, with whatever
could be understood of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_provider_alchemy.testing.checks import is_address, read_token_id

INVALID_ARGUMENT = "Invalid arg"
TOO_MANY_TOKENS = "Sorry, this endpoint only supports up to 100 tokens per request."

MOST_TOKENS = 100
"""The most tokens of one batch, and of one page of a listing (Alchemy's API reference, "NFT API")."""

Token = tuple[str, int]
"""A lower-case contract address and the id of one of its tokens."""

_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class AskedTokens:
    """The tokens that a call names.

    :param tokens: the tokens, in the order of the call; none where it is refused.
    :param refreshes: whether it asks for a refresh of them.
    :param refusal: the sentence with which the service refuses what was asked; None where it is well-formed.
    """

    tokens: tuple[Token, ...] = ()
    refreshes: bool = False
    refusal: str | None = None


NO_TOKENS = AskedTokens()
_INVALID = AskedTokens(refusal=INVALID_ARGUMENT)


def no_tokens(_query: Mapping[str, str], _body: object) -> AskedTokens:
    """Find nothing, for the endpoints whose calls name no token."""
    return NO_TOKENS


def token_in_query(query: Mapping[str, str], _body: object) -> AskedTokens:
    """Read the one token of ``getNFTMetadata``."""
    token = _read_token(query)
    refreshes = _FLAGS.get(query.get("refreshCache", "false").lower())
    timeout = query.get("tokenUriTimeoutInMs", "0")
    if token is None or refreshes is None or not timeout.isdecimal():
        return _INVALID
    return AskedTokens((token,), refreshes)


def token_in_body(_query: Mapping[str, str], body: object) -> AskedTokens:
    """Read the one token of ``refreshNftMetadata``."""
    token = _read_token(body)
    return _INVALID if token is None else AskedTokens((token,), refreshes=True)


def tokens_in_body(_query: Mapping[str, str], body: object) -> AskedTokens:
    """Read the tokens of ``getNFTMetadataBatch``."""
    if not isinstance(body, dict) or not isinstance(named := body.get("tokens"), list) or not named:
        return _INVALID
    if len(named) > MOST_TOKENS:
        return AskedTokens(refusal=TOO_MANY_TOKENS)
    refreshes, timeout = body.get("refreshCache", False), body.get("tokenUriTimeoutInMs")
    tokens = [token for token in map(_read_token, named) if token is not None]
    if len(tokens) < len(named) or not isinstance(refreshes, bool) or not _is_timeout(timeout):
        return _INVALID
    return AskedTokens(tuple(tokens), refreshes)


def asked_contracts(body: object) -> tuple[str, ...] | None:
    """Read the addresses of ``getContractMetadataBatch``, in lower case; None where they are not well-formed."""
    named = body.get("contractAddresses") if isinstance(body, dict) else None
    if not isinstance(named, list) or not 0 < len(named) <= MOST_TOKENS:
        return None
    addresses = tuple(address.lower() for address in named if isinstance(address, str) and is_address(address))
    return addresses if len(addresses) == len(named) else None


@dataclass(frozen=True, slots=True)
class AskedPage:
    """The page of a listing that a call asks for.

    :param start: the first token's id.
    :param limit: how many tokens, at most 100.
    :param with_metadata: whether whole NFTs are asked for, or their ids alone.
    """

    start: int
    limit: int
    with_metadata: bool


def page_in_query(query: Mapping[str, str]) -> AskedPage | None:
    """Read the page that ``getNFTsForContract`` asks for; None where the query is not well-formed.

    The start may be called ``startToken``, as documented, or ``pageKey``, as the official JavaScript SDK does.
    """
    start = read_token_id(query.get("startToken") or query.get("pageKey") or "0")
    limit = read_token_id(query.get("limit", str(MOST_TOKENS)))
    with_metadata = _FLAGS.get(query.get("withMetadata", "true").lower())
    if start is None or not limit or with_metadata is None:
        return None
    return AskedPage(start, min(limit, MOST_TOKENS), with_metadata)


def asked_contract(query: Mapping[str, str], body: object) -> str | None:
    """Find the contract that a call is about, the first one where it names several.

    :param query: the query's parameters.
    :param body: the parsed JSON body, None where there is none.
    :return: the address as asked, in whatever form; None if there is none.
    """
    if "contractAddress" in query or not isinstance(body, dict):
        return query.get("contractAddress")
    address = body.get("contractAddress")
    for field in ("tokens", "contractAddresses"):
        named = body.get(field)
        if address is None and isinstance(named, list) and named:
            address = named[0].get("contractAddress") if isinstance(named[0], dict) else named[0]
    return address if isinstance(address, str) else None


def _read_token(named: object) -> Token | None:
    if not isinstance(named, Mapping):
        return None
    address, token_id = named.get("contractAddress"), read_token_id(named.get("tokenId"))
    if token_id is None or not isinstance(address, str) or not is_address(address):
        return None
    return address.lower(), token_id


def _is_timeout(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool) and value >= 0)
