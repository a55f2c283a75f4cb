# SPDX-License-Identifier: Apache-2.0
"""The record of calls: what a test asks the emulator about afterwards. It has no place for a key."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import PlainSerializer

UNKNOWN_ENDPOINT = "unknown"
"""The endpoint of a call on a path that is none of the emulator's: the path itself may hold a key and is not kept."""

MASK = "***"


class Auth(StrEnum):
    """Where the call carried its key."""

    PATH = "path"
    HEADER = "header"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API.

    :param at: when it arrived, in seconds since the epoch (``time.time()``).
    :param endpoint: the endpoint's name, the method of the node API, such as ``eth_getLogs``, or ``unknown``.
    :param network: the network's slug, such as ``eth-mainnet``; ``***`` where it may be a key that was put there.
    :param contract_address: the contract address as asked, the first one of a batch, None where there was none; ``***``
        where it may be a key.
    :param auth: where the key was: ``path``, ``header`` or ``none``.
    :param http_status: the status that was answered, None when the connection was reset or left hanging.
    :param state: the refresh state that was reported, None where there was none.
    :param compute_units: what the call was billed.
    :param token_ids: the tokens that it named, in its order, where it was well-formed and had a right key.
    :param refreshes: whether it asked for a refresh of those tokens.
    :param blocks: the first and the last block that ``eth_getLogs`` asked for, the newest one as a number too.
    :param addresses: how many contracts that call named.
    """

    at: float
    endpoint: str
    network: str
    contract_address: str | None
    auth: Auth
    http_status: int | None
    state: str | None
    compute_units: int
    # As texts, because many clients' JSON numbers end at 2**53.
    token_ids: tuple[Annotated[int, PlainSerializer(str)], ...] = ()
    refreshes: bool = False
    blocks: tuple[int, int] | None = None
    addresses: int = 0

    def matches(self, endpoint: str | None, contract_address: str | None) -> bool:
        """Whether the call is one of an endpoint and a contract (in any case); None means any."""
        if endpoint is not None and self.endpoint != endpoint:
            return False
        return contract_address is None or (self.contract_address or "").lower() == contract_address.lower()
