# SPDX-License-Identifier: Apache-2.0
"""What may stand in the arguments of those who watch the chain. No I/O."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from airflow_provider_alchemy.api.chain_events import EventKind
from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.inputs import read_contract_address

LEAST_INTERVAL_SECONDS = 0.1
"""A poll costs units: none is meant to follow the other without a pause."""

MOST_BLOCKS = 2**53


def read_contracts(value: Any) -> list[str]:
    """
    Check the contracts to watch.

    :param value: Contract addresses, or a single one.
    :return: The addresses in lower case, each once, sorted.
    :raises AlchemyArgumentError: There is none, or one cannot be right.
    """
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, Iterable):
        msg = f"argument 'contract_addresses' is {value!r}; expected a list of contract addresses"
        raise AlchemyArgumentError(msg)
    contracts = {read_contract_address(one, f"contract_addresses[{at}]") for at, one in enumerate(values)}
    if not contracts:
        msg = "argument 'contract_addresses' is empty; expected at least one contract address"
        raise AlchemyArgumentError(msg)
    return sorted(contracts)


def read_events(value: Any) -> list[str]:
    """
    Check what to look for.

    :param value: Kinds of event, or a single one.
    :return: The kinds as texts, each once, sorted.
    :raises AlchemyArgumentError: There is none, or an unknown one.
    """
    known = [kind.value for kind in EventKind]
    values = [value] if isinstance(value, str) else value
    told = list(values) if isinstance(values, Iterable) else []
    if not told or any(one not in known for one in told):
        msg = f"argument 'events' is {value!r}; expected {' or '.join(map(repr, known))}, or both"
        raise AlchemyArgumentError(msg)
    return sorted({EventKind(one).value for one in told})


def read_confirmations(value: Any) -> int:
    """
    Check how many blocks must follow.

    :param value: A whole number from 0.
    :return: The number.
    :raises AlchemyArgumentError: It is something else.
    """
    return _whole(value, "confirmations", "a whole number of blocks from 0")


def read_block(value: Any, argument: str) -> int | None:
    """
    Check a block's number.

    :param value: A whole number from 0; None: not given.
    :param argument: The argument's name, for the error.
    :return: The number.
    :raises AlchemyArgumentError: It is something else.
    """
    return None if value is None else _whole(value, argument, "the number of a block")


def read_interval(value: Any, argument: str = "poll_interval") -> float:
    """
    Check the time between two polls.

    :param value: Seconds or a timedelta.
    :param argument: The argument's name, for the error.
    :return: Seconds.
    :raises AlchemyArgumentError: It is too short, or no duration.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool) and math.isfinite(seconds)
    if not is_number or seconds < LEAST_INTERVAL_SECONDS:
        msg = f"argument {argument!r} is {value!r}; expected a number of seconds from {LEAST_INTERVAL_SECONDS}"
        raise AlchemyArgumentError(msg)
    return float(seconds)


def _whole(value: Any, argument: str, expected: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST_BLOCKS:
        msg = f"argument {argument!r} is {value!r}; expected {expected}"
        raise AlchemyArgumentError(msg)
    return value
