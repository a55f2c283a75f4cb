# SPDX-License-Identifier: Apache-2.0
"""Tokens, what Alchemy knows of their metadata, and why it may know nothing: frozen values that check themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from pendulum import UTC, DateTime, now

from airflow_provider_alchemy.api.errors import AlchemyTokenIdError
from airflow_provider_alchemy.api.lists import shown

LARGEST_TOKEN_ID = 2**256 - 1
"""Token ids are a uint256 (ERC-721, ERC-1155)."""

MOST_AHEAD = timedelta(hours=1)
"""How far the service's clock may be ahead of this machine's: a time beyond that tells of no refresh."""

_DECIMAL = re.compile(r"[0-9]+")
_HEX = re.compile(r"0[xX][0-9a-fA-F]+")
_MOST_DIGITS = 100


class MetadataError(StrEnum):
    """
    Why a token's metadata could not be refreshed: the texts of ``raw.error`` in Alchemy's API reference.

    The first six are worth another try, the others but UNKNOWN are final.
    """

    URI_NOT_OK = "token_uri_not_ok"
    URI_THROTTLED = "token_uri_throttled"
    IPFS_TIMEOUT = "ipfs_timeout"
    CENTRALIZED_TIMEOUT = "centralized_timeout"
    ARWEAVE_TIMEOUT = "arweave_timeout"
    INTERNAL = "internal"
    NO_CODE = "contract_without_code"
    BROKEN_URI = "broken_token_uri"
    MALFORMED_URI = "malformed_token_uri"
    NO_SUCH_TOKEN = "no_such_token"  # nosec B105 # noqa: S105 - a state of a token, no secret
    NO_URI = "no_token_uri"
    BAD_URI = "bad_token_uri"
    UNKNOWN = "unknown_error"
    """A text that the reference does not know: worth another try, because nothing says that it is not."""

    @property
    def is_final(self) -> bool:
        """Whether the same token will fail again."""
        return self in _FINAL

    @classmethod
    def read(cls, text: str) -> MetadataError:
        """
        Read a ``raw.error``.

        :param text: The text of the answer.
        :return: The error; UNKNOWN for a text that is not documented.
        """
        told = " ".join(text.lower().split())
        return next((error for words, error in _TEXTS if told.startswith(words)), cls.UNKNOWN)


_FINAL = frozenset(
    {
        MetadataError.NO_CODE,
        MetadataError.BROKEN_URI,
        MetadataError.MALFORMED_URI,
        MetadataError.NO_SUCH_TOKEN,
        MetadataError.NO_URI,
        MetadataError.BAD_URI,
    }
)

_TEXTS: tuple[tuple[str, MetadataError], ...] = (
    ("token uri responded with a non 200", MetadataError.URI_NOT_OK),
    ("throttled token uri", MetadataError.URI_THROTTLED),
    ("ipfs gateway timed out", MetadataError.IPFS_TIMEOUT),
    ("centralized gateway timed out", MetadataError.CENTRALIZED_TIMEOUT),
    ("arweave gateway timed out", MetadataError.ARWEAVE_TIMEOUT),
    ("internal service", MetadataError.INTERNAL),
    ("contract does not have any code", MetadataError.NO_CODE),
    ("contract returned a broken token uri", MetadataError.BROKEN_URI),
    ("malformed token uri", MetadataError.MALFORMED_URI),
    ("token does not exist", MetadataError.NO_SUCH_TOKEN),
    ("failed to get token uri", MetadataError.NO_URI),
    ("bad token uri", MetadataError.BAD_URI),
)
"""How each text begins; some go on with advice, which may be reworded."""


@dataclass(frozen=True, slots=True)
class Token:
    """
    A token of a collection.

    :param contract_address: The collection's contract, in lower case.
    :param token_id: The token's id.
    """

    contract_address: str
    token_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenMetadata:
    """
    What Alchemy knows of a token (``getNFTMetadata``).

    :param token: The token.
    :param time_last_updated: When the metadata was last refreshed, aware; None where it is not told or cannot be read.
    :param error: Why it could not be refreshed; None where it could.
    :param error_text: The error's text as it came, which matters where the error is UNKNOWN.
    :param name: The token's name, None where it has none.
    :param description: Its description, None where it has none.
    :param token_type: For example ``ERC721``; None where it is not told.
    :param token_uri: Where the metadata comes from, None where it is not told.
    :param image_url: A picture of it, from Alchemy's cache where there is one; None where there is none.
    """

    token: Token
    time_last_updated: DateTime | None
    error: MetadataError | None = None
    error_text: str = ""
    name: str | None = None
    description: str | None = None
    token_type: str | None = None
    token_uri: str | None = None
    image_url: str | None = None

    def is_newer_than(self, moment: DateTime) -> bool:
        """
        Tell whether this proves that the metadata was refreshed.

        :param moment: What it is to be later than, such as the request for the refresh.
        :return: Whether the metadata is later, and there is no error. A refresh that was accepted is no proof, and
            neither is a time that lies in the future.
        """
        told = self.time_last_updated
        return self.error is None and told is not None and moment < told < now("UTC") + MOST_AHEAD


@dataclass(frozen=True, slots=True)
class TokenPage:
    """
    A page of a collection's tokens (``getNFTsForContract``).

    :param tokens: Its tokens, in the service's order.
    :param metadata: What is known of them, where it was asked for; else empty.
    :param next_key: Where the next page begins; None: this is the last.
    """

    tokens: tuple[Token, ...]
    metadata: tuple[TokenMetadata, ...] = ()
    next_key: str | None = None


@dataclass(frozen=True, slots=True)
class TokenRefresh:
    """
    What Alchemy says to the wish to refresh a token (``refreshNftMetadata``). It is no proof of a refresh.

    :param token: The token.
    :param status: The answer's status as it came, for example ``Queued``.
    :param estimated_seconds: How long it may take, None where it is not told.
    """

    token: Token
    status: str
    estimated_seconds: float | None = None


def read_token_id(value: Any, argument: str = "token_id") -> int:
    """
    Check a token id before anything is sent.

    :param value: An int, or a text of decimal or of 0x and hexadecimal digits.
    :param argument: The argument's name, for the error.
    :return: The id.
    :raises AlchemyTokenIdError: The value is no token id.
    """
    text = value.strip() if isinstance(value, str) else value
    number = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(text, str) and len(text) <= _MOST_DIGITS:
        number = int(text) if _DECIMAL.fullmatch(text) else int(text, 16) if _HEX.fullmatch(text) else None
    if number is not None and 0 <= number <= LARGEST_TOKEN_ID:
        return number
    problem = "empty" if text == "" else shown(value)
    msg = (
        f"argument {argument!r} is {problem}, which is no token id; expected a whole number from 0 to 2^256 - 1: "
        "an int, or a text of decimal digits or of 0x and hexadecimal digits"
    )
    raise AlchemyTokenIdError(msg)


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
