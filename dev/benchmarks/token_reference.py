# SPDX-License-Identifier: Apache-2.0
"""What people write without a provider: a loop that asks for one answer after the other, on one connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests

from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.token_service import TokenServiceClient

TIMEOUT_SECONDS = 300.0
MOST_TOKENS = 100
"""What one call of ``getNFTMetadataBatch`` takes."""


def tokens_one_by_one(service: TokenServiceClient, address: str, tokens: int) -> float:
    """
    Refresh tokens with ``getNFTMetadata``, one a call.

    :param service: Whom to ask.
    :param address: Their contract.
    :param tokens: How many.
    :return: Tokens a second.
    :raises BenchmarkError: An answer says that it refreshed nothing.
    """

    def ask(session: requests.Session, first: int) -> list[dict[str, Any]]:
        query = {"contractAddress": address, "tokenId": str(first), "refreshCache": "true"}
        answer = session.get(f"{service.url}/nft/v3/getNFTMetadata", params=query, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        return [answer.json()]

    return _loop(service, ask, tokens, 1)


def tokens_by_the_hundred(service: TokenServiceClient, address: str, tokens: int) -> float:
    """
    Refresh tokens with ``getNFTMetadataBatch``, a hundred a call.

    :param service: Whom to ask.
    :param address: Their contract.
    :param tokens: How many.
    :return: Tokens a second.
    :raises BenchmarkError: An answer says that it refreshed nothing.
    """

    def ask(session: requests.Session, first: int) -> list[dict[str, Any]]:
        named = [{"contractAddress": address, "tokenId": str(first + number)} for number in range(MOST_TOKENS)]
        body = {"tokens": named, "refreshCache": True}
        answer = session.post(f"{service.url}/nft/v3/getNFTMetadataBatch", json=body, timeout=TIMEOUT_SECONDS)
        answer.raise_for_status()
        nfts: list[dict[str, Any]] = answer.json()["nfts"]
        return nfts

    return _loop(service, ask, tokens, MOST_TOKENS)


def _loop(
    service: TokenServiceClient,
    ask: Callable[[requests.Session, int], list[dict[str, Any]]],
    tokens: int,
    tokens_a_call: int,
) -> float:
    refreshed = 0
    # As this package's side: the connection's set-up counts.
    started = time.monotonic()
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(service.authority)
        session.headers["Authorization"] = f"Bearer {service.key}"
        for first in range(0, tokens, tokens_a_call):
            refreshed += sum(nft["timeLastUpdated"] is not None for nft in ask(session, first))
    seconds = time.monotonic() - started
    if refreshed != tokens:
        msg = f"a loop has refreshed {refreshed} tokens of {tokens}"
        raise BenchmarkError(msg)
    return tokens / seconds
