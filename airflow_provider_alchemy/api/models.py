# SPDX-License-Identifier: Apache-2.0
"""States, statuses, addresses and networks: frozen values that check themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from eth_utils.address import is_checksum_address

from airflow_provider_alchemy.api.errors import (
    AlchemyAddressError,
    AlchemyArgumentError,
    AlchemyNoSuchCollectionError,
)

DEFAULT_NETWORK = "eth-mainnet"

LONGEST_LABEL = 63
"""A part of a host name has no more characters (RFC 1035, section 2.3.4)."""

_NO_COLLECTION = frozenset({"NOT_A_CONTRACT", "NO_SUPPORTED_NFT_STANDARD"})
"""The token types of what is no NFT contract (Alchemy's API reference, "getContractMetadata")."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_NETWORK = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


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
    What Alchemy says of a collection's refresh.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractMetadata:
    """
    What Alchemy knows of a contract (``getContractMetadata``).

    :param contract_address: The contract, in lower case.
    :param network: The network's slug.
    :param name: The collection's name, None where it has none.
    :param symbol: The collection's symbol, None where it has none.
    :param total_supply: Number of tokens, None where the contract does not tell.
    :param token_type: For example ``ERC721``, ``ERC1155`` or ``NOT_A_CONTRACT``; None where it is not told.
    """

    contract_address: str
    network: str
    name: str | None = None
    symbol: str | None = None
    total_supply: int | None = None
    token_type: str | None = None

    def check_is_collection(self, subject: str) -> None:
        """
        Refuse a contract that has no tokens. One whose type Alchemy does not tell may have some.

        :param subject: The collection and the connection, for the error.
        :raises AlchemyNoSuchCollectionError: It is no NFT contract.
        """
        if self.token_type in _NO_COLLECTION:
            msg = f"the contract is no NFT contract: Alchemy calls its type {self.token_type}"
            raise AlchemyNoSuchCollectionError(msg, subject=subject)


def read_contract_address(value: Any, argument: str = "contract_address") -> str:
    """
    Check a contract address before anything is sent.

    Mixed case must pass the checksum of EIP-55, which catches a wrong letter before it costs units.

    :param value: The address as a person or a template wrote it.
    :param argument: The argument's name, for the error.
    :return: The address in lower case: addresses are compared without case.
    :raises AlchemyAddressError: The value is no address, or fails its checksum.
    """
    expected = "expected 0x and 40 hexadecimal digits, such as 0xE9FCa552b9eb110c2d170962aF740725F71F5644"
    if not isinstance(value, str):
        msg = f"argument {argument!r} is {value!r} and no text; {expected}"
        raise AlchemyAddressError(msg)
    text = value.strip()
    if not text:
        msg = f"argument {argument!r} is empty, or its template rendered to nothing; {expected}"
        raise AlchemyAddressError(msg)
    if not _ADDRESS.fullmatch(text):
        msg = f"argument {argument!r} is {text[:100]!r}, which is no contract address; {expected}"
        raise AlchemyAddressError(msg)
    digits = text[2:]
    if digits not in {digits.lower(), digits.upper()} and not is_checksum_address(text):
        msg = (
            f"argument {argument!r} is {text!r}, whose capital letters do not match its EIP-55 checksum: at least "
            "one character is wrong"
        )
        raise AlchemyAddressError(msg, advice="Copy the address again; all in lower case it is not checked")
    return text.lower()


def read_network(value: Any, field: str = "argument 'network'") -> str:
    """
    Check a network's slug. It becomes part of a host name, so nothing else may slip in.

    :param value: The slug as a person or a template wrote it.
    :param field: What holds it, for the error.
    :return: The slug.
    :raises AlchemyArgumentError: The value cannot be a slug. Whether the network exists is for the service to say.
    """
    text = value.strip() if isinstance(value, str) else value
    if not isinstance(text, str) or not _NETWORK.fullmatch(text) or len(text) > LONGEST_LABEL:
        problem = "is empty, or its template rendered to nothing" if text == "" else f"is {value!r}"
        msg = f"{field} {problem}; expected a network's slug in lower case, such as {DEFAULT_NETWORK}"
        raise AlchemyArgumentError(msg)
    return text


def read_progress(value: Any) -> float | None:
    """
    Read a ``progress``: documented as a string, seen as null, ``0``, ``5``, ``"5"``, ``"5%"`` and ``""``.

    :param value: What the answer holds.
    :return: 0 to 100 (an int where it is whole); None for anything else, because nothing depends on it.
    """
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
