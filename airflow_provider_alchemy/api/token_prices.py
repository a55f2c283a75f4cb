# SPDX-License-Identifier: Apache-2.0
"""What it costs to list a collection's tokens and to ask for some of them (Alchemy's page on compute units). No I/O."""

from __future__ import annotations

from airflow_provider_alchemy.api.endpoints import GET_CONTRACT_METADATA
from airflow_provider_alchemy.api.token_endpoints import GET_NFT_METADATA_BATCH, GET_NFTS_FOR_CONTRACT, MOST_TOKENS


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
