# SPDX-License-Identifier: Apache-2.0
"""What a test says of a collection and of single tokens: values that check themselves, with no memory of calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final, Literal

from airflow_provider_alchemy.testing import checks

MOST_IN_COLLECTION = 10_000_000


class TokenType(StrEnum):
    """The kinds of contract, as the answers' ``tokenType`` names them."""

    ERC721 = "ERC721"
    ERC1155 = "ERC1155"
    NOT_A_CONTRACT = "NOT_A_CONTRACT"
    NO_SUPPORTED_NFT_STANDARD = "NO_SUPPORTED_NFT_STANDARD"

    @property
    def is_nft(self) -> bool:
        """Whether such a contract has tokens at all."""
        return self in {TokenType.ERC721, TokenType.ERC1155}


class Supply(Enum):
    """The type of :data:`FROM_TOKENS`."""

    FROM_TOKENS = "the number of tokens"


FROM_TOKENS: Final = Supply.FROM_TOKENS
"""Given as ``total_supply``: the number of tokens, also after the collection grew."""


def _supply(field: str, value: Any) -> Any:
    return value if value is FROM_TOKENS else checks.optional(checks.text)(field, value)


_COLLECTION_CHECKS: dict[str, checks.Check] = {
    "tokens": checks.whole(0, MOST_IN_COLLECTION),
    "first_id": checks.token_id,
    "token_ids": checks.optional(checks.token_ids),
    "token_type": checks.member(TokenType),
    "total_supply": _supply,
    "refresh_seconds": checks.number(),
    "queue_seconds": checks.number(),
    "last_updated": checks.moment,
}


@dataclass(frozen=True, kw_only=True)
class CollectionPlan:
    """What a collection holds, and how long a refresh of one of its tokens takes.

    :param tokens: how many tokens it has, with consecutive ids; default 10,000.
    :param first_id: the id of the first one; default 0.
    :param token_ids: the ids themselves, instead of ``tokens`` and ``first_id``; None, the default: consecutive.
    :param token_type: ``ERC721`` (default), ``ERC1155``, or one of the two that are no NFTs, ``NOT_A_CONTRACT`` and
        ``NO_SUPPORTED_NFT_STANDARD``: such a contract has no tokens.
    :param total_supply: what ``totalSupply`` says; the default is the number of tokens, None is null.
    :param refresh_seconds: how long after a call with ``refreshCache`` the token's metadata is refreshed; default 0:
        the answer shows it already.
    :param queue_seconds: how long after ``refreshNftMetadata`` it is; default 1.
    :param last_updated: when every token was refreshed last, before the first call: seconds since the epoch or an
        ISO 8601 time; default 2026-01-01T00:00:00Z.
    :raises ValueError: a value that is not accepted; the message names the field.
    """

    tokens: int = 10_000
    first_id: int = 0
    token_ids: Sequence[int] | None = None
    token_type: TokenType = TokenType.ERC721
    total_supply: str | Literal[Supply.FROM_TOKENS] | None = FROM_TOKENS
    refresh_seconds: float = 0.0
    queue_seconds: float = 1.0
    last_updated: float = 1_767_225_600.0

    def __post_init__(self) -> None:
        """Check every field."""
        checks.apply_checks(self, _COLLECTION_CHECKS)

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> CollectionPlan:
        """Build a plan from field names and values, refusing unknown names with a ``ValueError``."""
        checks.refuse_unknown(cls, fields)
        return cls(**fields)

    @property
    def ids(self) -> Sequence[int]:
        """The ids at first, in ascending order."""
        if not self.token_type.is_nft:
            return ()
        if self.token_ids is not None:
            return sorted(set(self.token_ids))
        return range(self.first_id, self.first_id + self.tokens)


_TOKEN_CHECKS: dict[str, checks.Check] = {
    "stale": checks.flag,
    "stale_refreshes": checks.whole(),
    "error": checks.optional(checks.text),
    "error_answers": checks.optional(checks.whole(1)),
}


@dataclass(frozen=True, kw_only=True)
class TokenPlan:
    """What is special about a token; the defaults are a token like any other.

    :param stale: whether no refresh ever changes anything; default no.
    :param stale_refreshes: how many refreshes change nothing before one does; default 0.
    :param error: the ``raw.error`` of its answers; None, the default: none.
    :param error_answers: after how many answers to calls with ``refreshCache`` the error is gone; None, the default:
        it stays.
    :raises ValueError: a value that is not accepted; the message names the field.
    """

    stale: bool = False
    stale_refreshes: int = 0
    error: str | None = None
    error_answers: int | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        checks.apply_checks(self, _TOKEN_CHECKS)

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> TokenPlan:
        """Build a plan from field names and values, refusing unknown names with a ``ValueError``."""
        checks.refuse_unknown(cls, fields)
        return cls(**fields)
