# SPDX-License-Identifier: Apache-2.0
"""The JSON of contracts and NFTs, written into templates: a batch of 100 NFTs must cost next to nothing.

Only what differs from token to token is written for each of them; the rest is one text for the collection.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple

from airflow_provider_alchemy.testing.token_collections import Collection, TokenView
from airflow_provider_alchemy.testing.token_plans import TokenType

_DEPLOYER = "0x1111111111111111111111111111111111111111"
_TOKEN, _TIME, _ERROR = "<token>", "<time>", "<error>"
_CONTENT = "https://emulated.example/"
_OPENSEA_FIELDS = (
    *("floorPrice", "collectionName", "collectionSlug", "safelistRequestStatus", "imageUrl", "description"),
    *("externalUrl", "twitterUsername", "discordUrl", "bannerImageUrl", "lastIngestedAt"),
)
_OPENSEA: dict[str, Any] = {
    **dict.fromkeys(_OPENSEA_FIELDS),
    "floorPrice": 0.5,
    "collectionName": "Emulated Collection",
    "collectionSlug": "emulated-collection",
    "safelistRequestStatus": "verified",
    "description": "A collection that exists in tests only.",
    "lastIngestedAt": "2026-01-01T00:00:00.000Z",
}


class _Templates(NamedTuple):
    right: str
    failed: str


def in_milliseconds(moment: float) -> int:
    """Round a moment up to whole milliseconds: a refresh must never seem older than its request."""
    # By way of microseconds, or the error of the floating point would push an exact millisecond to the next one.
    return -(-round(moment * 1_000_000) // 1000)


@lru_cache(maxsize=1024)
def _iso(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"


def contract_fields(address: str, collection: Collection) -> dict[str, Any]:
    """Give what ``getContractMetadata`` and the ``contract`` of an NFT say.

    :param address: the lower-case contract address.
    :param collection: what is there.
    :return: the JSON's fields.
    """
    return _contract(address, collection.plan.token_type, collection.total_supply)


def nft_text(address: str, collection: Collection, token_id: int, view: TokenView) -> str:
    """Write one NFT.

    :param address: the lower-case contract address.
    :param collection: what is there.
    :param token_id: the token.
    :param view: what this answer says of it.
    :return: its JSON.
    """
    templates = _templates(address, collection.plan.token_type, collection.total_supply)
    time = _iso(in_milliseconds(view.updated_at))
    if view.error is None:
        return templates.right % {"token": token_id, "time": time}
    return templates.failed % {"token": token_id, "time": time, "error": json.dumps(view.error)}


def _contract(address: str, token_type: TokenType, total_supply: str | None) -> dict[str, Any]:
    is_nft = token_type.is_nft
    return {
        "address": address,
        "name": "Emulated Collection" if is_nft else None,
        "symbol": "EMU" if is_nft else None,
        "totalSupply": total_supply,
        "tokenType": str(token_type),
        "contractDeployer": _DEPLOYER if is_nft else None,
        "deployedBlockNumber": 12287507 if is_nft else None,
        "openSeaMetadata": dict(_OPENSEA) if is_nft else dict.fromkeys(_OPENSEA_FIELDS),
        "isSpam": None,
        "spamClassifications": [],
    }


def _image(url: str | None) -> dict[str, Any]:
    kind, size = ("image/png", 1024) if url else (None, None)
    links = dict.fromkeys(("cachedUrl", "thumbnailUrl", "pngUrl"), url)
    return {**links, "contentType": kind, "size": size, "originalUrl": url}


@lru_cache(maxsize=256)
def _templates(address: str, token_type: TokenType, total_supply: str | None) -> _Templates:
    contract = _contract(address, token_type, total_supply)
    uri, image = f"{_CONTENT}{_TOKEN}.json", f"{_CONTENT}{_TOKEN}.png"
    named = {"name": f"Emulated #{_TOKEN}", "description": "A token that exists in tests only."}
    metadata = {**named, "image": image, "attributes": [{"trait_type": "Number", "value": _TOKEN}]}
    shared = {"contract": contract, "tokenId": _TOKEN, "tokenType": str(token_type)}
    ending = {
        "collection": {"name": "Emulated Collection", "slug": "emulated-collection", "externalUrl": None},
        "mint": {"mintAddress": None, "blockNumber": None, "timestamp": None, "transactionHash": None},
        "owners": None,
        "timeLastUpdated": _TIME,
    }
    raw = {"tokenUri": uri, "metadata": metadata, "error": None}
    right = {**shared, **named, "tokenUri": uri, "image": _image(image), "raw": raw, **ending}
    nothing = {"name": None, "description": None, "tokenUri": None, "image": _image(None)}
    failed = {**shared, **nothing, "raw": {"tokenUri": None, "metadata": {}, "error": _ERROR}, **ending}
    return _Templates(_template(right), _template(failed))


def _template(nft: dict[str, Any]) -> str:
    text = json.dumps(nft).replace("%", "%%").replace(f'"{_ERROR}"', "%(error)s")
    return text.replace(_TOKEN, "%(token)d").replace(_TIME, "%(time)s")
