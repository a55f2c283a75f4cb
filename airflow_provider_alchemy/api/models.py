# SPDX-License-Identifier: Apache-2.0
"""States, statuses, contracts, tokens and their metadata: frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from airflow_provider_alchemy.api.errors import AlchemyNoSuchCollectionError

_NO_COLLECTION = frozenset({"NOT_A_CONTRACT", "NO_SUPPORTED_NFT_STANDARD"})
"""The token types of what is no NFT contract (Alchemy's API reference, "getContractMetadata")."""


class RefreshState(StrEnum):
    """The states of a collection's refresh, as Alchemy's documentation of ``reingestContract`` names them."""

    DOES_NOT_EXIST = "does_not_exist"
    QUEUED = "queued"
    ALREADY_QUEUED = "already_queued"
    IN_PROGRESS = "in_progress"
    FINISHED = "finished"
    QUEUE_FAILED = "queue_failed"
    UNKNOWN = "unknown"
    """A text that the documentation does not know: pending, until the deadline."""

    @classmethod
    def _missing_(cls, value: object) -> RefreshState | None:
        # The documentation writes already_queried, every client and an official sample already_queued.
        return cls.ALREADY_QUEUED if value == "already_queried" else None

    @classmethod
    def read(cls, text: str) -> RefreshState:
        """
        Read a ``reingestionState``.

        :param text: The text of the answer.
        :return: The state; UNKNOWN for a text that is not documented.
        """
        try:
            return cls(text)
        except ValueError:
            return cls.UNKNOWN


_FAILED = frozenset({RefreshState.DOES_NOT_EXIST, RefreshState.QUEUE_FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshStatus:
    """
    What Alchemy reports of a collection's refresh.

    :param contract_address: The collection's contract, in lower case.
    :param network: The network's slug, for example ``eth-mainnet``.
    :param state: The refresh's state.
    :param progress: Percentage of tokens refreshed, 0 to 100; None where Alchemy gives none (it may be None
        while tokens are refreshed, and is never needed to decide anything).
    :param reported_state: The state's text as it came, which matters where the state is UNKNOWN.
    """

    contract_address: str
    network: str
    state: RefreshState
    progress: float | None = None
    reported_state: str = ""

    @property
    def is_pending(self) -> bool:
        """Whether the refresh has not ended yet."""
        return not (self.is_finished or self.is_failed)

    @property
    def is_finished(self) -> bool:
        """Whether the refresh ended well."""
        return self.state is RefreshState.FINISHED

    @property
    def is_failed(self) -> bool:
        """Whether the refresh ended without success."""
        return self.state in _FAILED


_ERC1155 = "ERC1155"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractMetadata:
    """
    What Alchemy knows of a contract (``getContractMetadata``).

    :param contract_address: The contract, in lower case.
    :param network: The network's slug.
    :param name: The collection's name, None where it has none.
    :param symbol: The collection's symbol, None where it has none.
    :param total_supply: Number of tokens, None where it is unknown.
    :param token_type: For example ``ERC721``, ``ERC1155`` or ``NOT_A_CONTRACT``; None where it is unknown.
    """

    contract_address: str
    network: str
    name: str | None = None
    symbol: str | None = None
    total_supply: int | None = None
    token_type: str | None = None

    @property
    def supply_counts_tokens(self) -> bool:
        """Whether ``total_supply`` is the number of tokens: that of an ERC-1155 counts copies."""
        return self.token_type != _ERC1155

    def check_is_collection(self, subject: str) -> None:
        """
        Refuse a contract that has no tokens. One without a known type may have some.

        :param subject: The collection and the connection, for the error.
        :raises AlchemyNoSuchCollectionError: It is no NFT contract.
        """
        if self.token_type in _NO_COLLECTION:
            msg = f"the contract is no NFT contract: Alchemy calls its type {self.token_type}"
            raise AlchemyNoSuchCollectionError(msg, subject=subject)


MAX_AHEAD = timedelta(hours=1)
"""How far the service's clock may be ahead of this machine's: a time beyond that proves no refresh."""


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
        return self in _FINAL_ERRORS

    @classmethod
    def read(cls, text: str) -> MetadataError:
        """
        Read a ``raw.error``.

        :param text: The text of the answer.
        :return: The error; UNKNOWN for a text that is not documented.
        """
        words = " ".join(text.lower().split())
        return next((error for start, error in _ERROR_TEXTS if words.startswith(start)), cls.UNKNOWN)


_FINAL_ERRORS = frozenset(
    {
        MetadataError.NO_CODE,
        MetadataError.BROKEN_URI,
        MetadataError.MALFORMED_URI,
        MetadataError.NO_SUCH_TOKEN,
        MetadataError.NO_URI,
        MetadataError.BAD_URI,
    }
)

_ERROR_TEXTS: tuple[tuple[str, MetadataError], ...] = (
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
    :param time_last_updated: When the metadata was last refreshed, aware; None where it is unknown or cannot be read.
    :param error: Why it could not be refreshed; None where it could.
    :param error_text: The error's text as it came, which matters where the error is UNKNOWN.
    :param name: The token's name, None where it has none.
    :param description: Its description, None where it has none.
    :param token_type: For example ``ERC721``; None where it is unknown.
    :param token_uri: Where the metadata comes from, None where it is unknown.
    :param image_url: A picture of it, from Alchemy's cache where there is one; None where there is none.
    """

    token: Token
    time_last_updated: datetime | None
    error: MetadataError | None = None
    error_text: str = ""
    name: str | None = None
    description: str | None = None
    token_type: str | None = None
    token_uri: str | None = None
    image_url: str | None = None

    def is_newer_than(self, moment: datetime) -> bool:
        """
        Whether this proves that the metadata was refreshed.

        :param moment: What it is to be later than, such as the request for the refresh.
        :return: Whether the metadata is later, and there is no error. A refresh that was accepted is no proof, and
            neither is a time that lies in the future.
        """
        updated = self.time_last_updated
        return self.error is None and updated is not None and moment < updated < datetime.now(UTC) + MAX_AHEAD


@dataclass(frozen=True, slots=True)
class TokenPage:
    """
    A page of a collection's tokens (``getNFTsForContract``).

    :param tokens: Its tokens, in the service's order.
    :param metadata: What is known of them, where it was asked for; else empty.
    :param next_key: Where the next page begins; None: this is the last.
    :param unreadable: How many entries of the page were skipped because they name no token.
    """

    tokens: tuple[Token, ...]
    metadata: tuple[TokenMetadata, ...] = ()
    next_key: str | None = None
    unreadable: int = 0


class TokensById(dict[int, TokenMetadata]):
    """
    What is known of tokens, by id (``getNFTMetadataBatch``).

    :ivar unreadable: How many entries of the answer were skipped because they name no token.
    """

    unreadable = 0


@dataclass(frozen=True, slots=True)
class TokenRefresh:
    """
    Alchemy's answer to the request to refresh a token (``refreshNftMetadata``). It is no proof of a refresh.

    :param token: The token.
    :param status: The answer's status as it came, for example ``Queued``.
    :param estimated_seconds: How long it may take, None where it is unknown.
    """

    token: Token
    status: str
    estimated_seconds: float | None = None
