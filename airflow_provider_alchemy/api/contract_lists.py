# SPDX-License-Identifier: Apache-2.0
"""
The contracts of a batch, as a person, a template or another task wrote them. No I/O.

All of them are checked before the first is asked for: one wrong address among thousands must show at once and with
its place, not after a night of polling.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_alchemy.api.errors import AlchemyAddressError, AlchemyArgumentError
from airflow_provider_alchemy.api.lists import Shortened, read_items
from airflow_provider_alchemy.api.models import read_contract_address

MOST_CONTRACTS = 10_000
"""As many as one event loop was measured to poll for beside everything else that a triggerer does."""

ARGUMENT = "contract_addresses"

_ADDRESS_BYTES = 20
EXPECTED = (
    "expected a list of contract addresses, or a text of them: a JSON or Python list, or separated by commas or spaces"
)


@dataclass(frozen=True, slots=True)
class ContractList:
    """
    The contracts of a batch.

    :param addresses: Each contract once, in lower case and in the order in which they were first named.
    :param duplicates: How many more were named, again or in another letter case.
    """

    addresses: tuple[str, ...]
    duplicates: int = 0

    def digest(self, network: str) -> str:
        """
        Tell this list from any other, also in another process: positions in it mean the same only there.

        :param network: The network's slug.
        :return: A hash.
        """
        return hashlib.sha256("\n".join((network, *self.addresses)).encode()).hexdigest()


def read_contracts(value: Any, is_unknown: Callable[[Any], bool] = lambda _: False) -> ContractList:
    """
    Check the contracts of a batch before anything is sent.

    :param value: A list or any other iterable of addresses, or a text of them.
    :param is_unknown: Tells which items get their value only later; they are left out. Default: none.
    :return: The contracts.
    :raises AlchemyArgumentError: There is none, there are too many, or the value is no list.
    :raises AlchemyAddressError: One is no address, or fails its checksum; the text names the first with its position.
    """
    items = read_items(value, ARGUMENT, EXPECTED)
    if not items:
        msg = f"argument {ARGUMENT!r} names no contract: the list is empty; {EXPECTED}"
        raise AlchemyArgumentError(msg)
    # Before the checksums, which take a while: somebody may have passed a list of tokens.
    different = len({item.strip().lower() for item in items if isinstance(item, str)})
    if different > MOST_CONTRACTS:
        msg = f"argument {ARGUMENT!r} names {different:,} different contracts; a task takes {MOST_CONTRACTS:,} at most"
        raise AlchemyArgumentError(msg, advice="Split the list into several tasks, for example with expand()")
    named = _read_addresses(items, is_unknown)
    addresses = tuple(dict.fromkeys(named))
    return ContractList(addresses, len(named) - len(addresses))


def pack_addresses(addresses: Iterable[str]) -> str:
    """
    Write addresses as a short text: Airflow keeps them several times while a task is deferred.

    :param addresses: The addresses, checked.
    :return: Base64, 27 characters an address.
    """
    return base64.b64encode(b"".join(bytes.fromhex(address[2:]) for address in addresses)).decode()


def unpack_addresses(text: str) -> tuple[str, ...]:
    """
    Read what ``pack_addresses`` wrote.

    :param text: The text.
    :return: The addresses, in lower case.
    :raises AlchemyArgumentError: It is no such text.
    """
    try:
        packed = base64.b64decode(text, validate=True)
    except ValueError:
        packed = None
    if packed is None or len(packed) % _ADDRESS_BYTES:
        msg = f"argument {ARGUMENT!r} is {text[:50]!r} and no packed list of addresses"
        advice = "Run one version of airflow-provider-alchemy everywhere, and clear the task"
        raise AlchemyArgumentError(msg, advice=advice)
    starts = range(0, len(packed), _ADDRESS_BYTES)
    return tuple(f"0x{packed[start : start + _ADDRESS_BYTES].hex()}" for start in starts)


def _read_addresses(items: Sequence[Any], is_unknown: Callable[[Any], bool]) -> list[str]:
    addresses: list[str] = []
    first: AlchemyAddressError | None = None
    wrong = 0
    for position, item in enumerate(items):
        if is_unknown(item):
            continue
        place = f"{ARGUMENT}[{position}] (number {position + 1:,} of {len(items):,})"
        try:
            addresses.append(read_contract_address(item if isinstance(item, str) else Shortened(item), place))
        except AlchemyAddressError as error:
            error.what = error.what.replace(f"argument {place!r}", place, 1)
            first = first or error
            wrong += 1
    if first is None:
        return addresses
    if wrong > 1:
        first.what += f"; {wrong - 1:,} more of the addresses cannot be right either"
    raise first
