# SPDX-License-Identifier: Apache-2.0
"""Collections of tokens as functions of time: when each token's metadata was refreshed, and the JSON of its NFTs.

Nothing runs in the background: a refresh is the moment at which it will have happened. A collection of any size costs
nothing until its tokens are refreshed. The JSON comes from templates, because a batch of 100 NFTs must cost next to
nothing: only what differs from token to token is written for each of them.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import inf
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from airflow_provider_alchemy.testing import checks

REFRESH_RULE_SECONDS = 900.0
"""For how long ``refreshNftMetadata`` does nothing more for a token (Alchemy's API reference, "refreshNftMetadata")."""

UNKNOWN_TOKEN = "Token does not exist"  # nosec B105 # noqa: S105 - a sentence about a token of a collection
NO_CODE = "Contract does not have any code"
FROM_TOKENS = "number of tokens"
"""Given as ``total_supply``: the number of tokens, also after the collection grew."""


TokenType = Literal["ERC721", "ERC1155", "NOT_A_CONTRACT", "NO_SUPPORTED_NFT_STANDARD"]
"""The kinds of contract, as the answers' ``tokenType`` names them."""


def _is_nft(token_type: TokenType) -> bool:
    return token_type.startswith("ERC")


@checks.checked_dataclass
class CollectionPlan:
    """What a collection holds, and how long a refresh of one of its tokens takes.

    :param tokens: how many tokens it has, with consecutive ids; default 10,000.
    :param first_id: the id of the first one; default 0.
    :param token_ids: the ids themselves, instead of ``tokens`` and ``first_id``; None, the default: consecutive.
    :param token_type: ``ERC721`` (default), ``ERC1155``, or one of the two that are no NFTs, ``NOT_A_CONTRACT`` and
        ``NO_SUPPORTED_NFT_STANDARD``: such a contract has no tokens.
    :param total_supply: the text of ``totalSupply``; the default is the number of tokens, None is null.
    :param refresh_seconds: how long after a call with ``refreshCache`` the token's metadata is refreshed; default 0:
        the answer shows it already.
    :param queue_seconds: how long after ``refreshNftMetadata`` it is; default 1.
    :param last_updated: when every token was refreshed last, before the first call: seconds since the epoch or an
        ISO 8601 time; default 2026-01-01T00:00:00Z.
    """

    tokens: Annotated[int, Field(ge=0, le=10_000_000)] = 10_000
    first_id: checks.TokenId = 0
    token_ids: checks.TokenIds | None = None
    token_type: TokenType = "ERC721"  # noqa: S105 - of a collection
    total_supply: str | None = FROM_TOKENS
    refresh_seconds: checks.Seconds = 0.0
    queue_seconds: checks.Seconds = 1.0
    last_updated: checks.Moment = 1_767_225_600.0

    @property
    def ids(self) -> Sequence[int]:
        if not _is_nft(self.token_type):
            return ()
        if self.token_ids is not None:
            return sorted(set(self.token_ids))
        return range(self.first_id, self.first_id + self.tokens)


@checks.checked_dataclass
class TokenPlan:
    """What is special about a token; the defaults are a token like any other.

    :param stale: whether no refresh changes anything; default no.
    :param stale_refreshes: how many refreshes change nothing before one does; default 0.
    :param error: the ``raw.error`` of its answers; None, the default: none.
    :param error_answers: after how many answers to calls with ``refreshCache`` the error is gone; None, the default:
        it stays.
    """

    stale: bool = False
    stale_refreshes: checks.Count = 0
    error: str | None = None
    error_answers: checks.AtLeastOne | None = None


class TokenView(NamedTuple):
    """What one answer shows of a token: the text of ``raw.error``, None where all is well, and the last refresh."""

    error: str | None
    updated_at: float


@dataclass
class _SpecialToken:
    """What is left of a token's plan: how many more refreshes change nothing, and answers have the error."""

    stale_refreshes: float
    error: str | None
    error_answers: float


class Collection:
    """One contract and what was asked of its tokens; every moment is in seconds since the epoch."""

    def __init__(self, plan: CollectionPlan) -> None:
        self.plan = plan
        self.ids: Sequence[int] = plan.ids
        self._updated: dict[int, float] = {}
        self._due: dict[int, float] = {}
        self._queued: dict[int, float] = {}
        self._special: dict[int, _SpecialToken] = {}

    def __contains__(self, token_id: int) -> bool:
        if isinstance(self.ids, range):
            return token_id in self.ids
        position = bisect_left(self.ids, token_id)
        return position < len(self.ids) and self.ids[position] == token_id

    @property
    def total_supply(self) -> str | None:
        if not _is_nft(self.plan.token_type):
            return None
        return str(len(self.ids)) if self.plan.total_supply == FROM_TOKENS else self.plan.total_supply

    def set_tokens(self, token_ids: Sequence[int], plan: TokenPlan) -> None:
        """Make tokens special, or like any other again; what was counted of them is forgotten."""
        for token_id in token_ids:
            if token_id not in self:
                msg = f"token_ids must be in the collection; {token_id} is not"
                raise ValueError(msg)
        stale_refreshes = inf if plan.stale else plan.stale_refreshes
        for token_id in token_ids:
            self._special[token_id] = _SpecialToken(stale_refreshes, plan.error, plan.error_answers or inf)

    def grow(self, tokens: int) -> None:
        if not _is_nft(self.plan.token_type):
            msg = f"A contract of the type {self.plan.token_type} has no tokens to add to"
            raise ValueError(msg)
        following = self.ids[-1] + 1 if self.ids else self.plan.first_id
        self.add(range(following, following + tokens))

    def add(self, token_ids: Iterable[int]) -> None:
        """Let tokens exist from now on; those that exist already stay as they are, and what is no NFT gets none."""
        new = sorted({token_id for token_id in token_ids if token_id not in self})
        if not new or not _is_nft(self.plan.token_type):
            return
        if isinstance(self.ids, range) and new == [*range(self.ids.stop, self.ids.stop + len(new))]:
            self.ids = range(self.ids.start, self.ids.stop + len(new))
        else:
            self.ids = sorted([*self.ids, *new])

    def page(self, start: int, size: int) -> Sequence[int]:
        position = bisect_left(self.ids, start)
        return self.ids[position : position + size]

    def view(self, token_id: int, now: float) -> TokenView:
        """Give what an answer shows of a token, whether or not it exists."""
        if token_id not in self:
            return TokenView(UNKNOWN_TOKEN if _is_nft(self.plan.token_type) else NO_CODE, self.plan.last_updated)
        due, special = self._due.get(token_id, inf), self._special.get(token_id)
        updated = due if due <= now else self._updated.get(token_id, self.plan.last_updated)
        return TokenView(special.error if special and special.error_answers > 0 else None, updated)

    def refresh(self, token_id: int, now: float, speed: float) -> TokenView:
        """Do what a call with ``refreshCache`` does, and give what its answer shows."""
        self._refresh(token_id, now, self.plan.refresh_seconds / speed)
        view = self.view(token_id, now)
        if view.error is not None and token_id in self._special:
            self._special[token_id].error_answers -= 1
        return view

    def queue(self, token_id: int, now: float, speed: float) -> bool:
        """Do what ``refreshNftMetadata`` does; False where another one for this token came too short before."""
        if now - self._queued.get(token_id, -inf) < REFRESH_RULE_SECONDS / speed:
            return False
        if token_id in self:
            self._queued[token_id] = now
            self._refresh(token_id, now, self.plan.queue_seconds / speed)
        return True

    def _refresh(self, token_id: int, now: float, delay: float) -> None:
        if self.view(token_id, now).error is not None:
            return
        special = self._special.get(token_id)
        if special and special.stale_refreshes > 0:
            special.stale_refreshes -= 1
            return
        if self._due.get(token_id, inf) <= now:
            self._updated[token_id] = self._due.pop(token_id)
        if delay <= 0:
            self._updated[token_id] = now
        else:
            # A refresh that is asked for while another is on its way is over with the earlier of the two: both are
            # later than either request.
            self._due[token_id] = min(self._due.get(token_id, inf), now + delay)


_TOKEN, _TIME, _ERROR = "<token>", "<time>", "<error>"
_OPENSEA: dict[str, Any] = {
    "floorPrice": 0.5,
    "collectionName": "Emulated Collection",
    "collectionSlug": "emulated-collection",
    "safelistRequestStatus": "verified",
    "description": "A collection that exists in tests only.",
    "lastIngestedAt": "2026-01-01T00:00:00.000Z",
    **dict.fromkeys(("imageUrl", "externalUrl", "twitterUsername", "discordUrl", "bannerImageUrl")),
}


def in_milliseconds(moment: float) -> int:
    """Round a moment up to whole milliseconds: a refresh must never seem older than its request."""
    # By way of microseconds, or the error of the floating point would push an exact millisecond to the next one.
    return -(-round(moment * 1_000_000) // 1000)


@lru_cache(maxsize=1024)
def _iso(milliseconds: int) -> str:
    seconds, rest = divmod(milliseconds, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03}Z"


def contract_fields(address: str, collection: Collection) -> dict[str, Any]:
    return _contract(address, collection.plan.token_type, collection.total_supply)


def nft_text(address: str, collection: Collection, token_id: int, view: TokenView) -> str:
    template = _template(address, collection.plan.token_type, collection.total_supply, has_error=view.error is not None)
    time = _iso(in_milliseconds(view.updated_at))
    return template % {"token": token_id, "time": time, "error": json.dumps(view.error)}


def _contract(address: str, token_type: TokenType, total_supply: str | None) -> dict[str, Any]:
    fields = {
        "name": "Emulated Collection",
        "symbol": "EMU",
        "contractDeployer": "0x1111111111111111111111111111111111111111",
        "deployedBlockNumber": 12287507,
    }
    return {
        "address": address,
        **(fields if _is_nft(token_type) else dict.fromkeys(fields)),
        "totalSupply": total_supply,
        "tokenType": token_type,
        "openSeaMetadata": _OPENSEA if _is_nft(token_type) else dict.fromkeys(_OPENSEA),
        "isSpam": None,
        "spamClassifications": [],
    }


@lru_cache(maxsize=256)
def _template(address: str, token_type: TokenType, total_supply: str | None, *, has_error: bool) -> str:
    named = {"name": f"Emulated #{_TOKEN}", "description": "A token that exists in tests only."}
    uri, image = (f"https://emulated.example/{_TOKEN}.{kind}" for kind in ("json", "png"))
    metadata = {**named, "image": image, "attributes": [{"trait_type": "Number", "value": _TOKEN}]}
    links = dict.fromkeys(("cachedUrl", "thumbnailUrl", "pngUrl", "originalUrl"), image)
    about: dict[str, Any] = {**named, "tokenUri": uri, "image": {**links, "contentType": "image/png", "size": 1024}}
    raw: dict[str, Any] = {"tokenUri": uri, "metadata": metadata, "error": None}
    if has_error:
        about = {**dict.fromkeys(about), "image": dict.fromkeys(about["image"])}
        raw = {"tokenUri": None, "metadata": {}, "error": _ERROR}
    nft = {
        "contract": _contract(address, token_type, total_supply),
        "tokenId": _TOKEN,
        "tokenType": token_type,
        **about,
        "raw": raw,
        "collection": {"name": "Emulated Collection", "slug": "emulated-collection", "externalUrl": None},
        "mint": dict.fromkeys(("mintAddress", "blockNumber", "timestamp", "transactionHash")),
        "owners": None,
        "timeLastUpdated": _TIME,
    }
    text = json.dumps(nft).replace("%", "%%").replace(f'"{_ERROR}"', "%(error)s")
    return text.replace(_TOKEN, "%(token)d").replace(_TIME, "%(time)s")
