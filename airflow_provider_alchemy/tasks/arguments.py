# SPDX-License-Identifier: Apache-2.0
"""
What may stand in a task's arguments: literals are checked where the DAG is parsed, templates once rendered.

What is wrong with an argument is the user's to mend, so Airflow must not retry it: each error is final.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow_provider_alchemy.api.cadence import DEFAULT_MAX_INTERVAL_SECONDS
from airflow_provider_alchemy.api.endpoints import REINGEST_CONTRACT
from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.inputs import read_contract_address, read_network
from airflow_provider_alchemy.hooks.connection import read_connection_id
from airflow_provider_alchemy.tasks.failures import final


def check_literals(contract_address: Any, network: Any, alchemy_conn_id: Any) -> None:
    """
    Check the arguments that are known before the task runs.

    :param contract_address: A contract address, a template or an XCom.
    :param network: A network's slug, None, a template or an XCom.
    :param alchemy_conn_id: A connection id, a template or an XCom.
    :raises AlchemyArgumentError: One of them cannot be right.
    """
    try:
        if not is_template(contract_address):
            read_contract_address(contract_address)
    except AlchemyArgumentError as error:
        raise final(error) from None
    check_account(network, alchemy_conn_id)


def check_account(network: Any, alchemy_conn_id: Any) -> None:
    """
    Check the network and the connection id that are known before the task runs.

    :param network: A network's slug, None, a template or an XCom.
    :param alchemy_conn_id: A connection id, a template or an XCom.
    :raises AlchemyArgumentError: One of them cannot be right.
    """
    try:
        if network is not None and not is_template(network):
            read_network(network)
        if not is_template(alchemy_conn_id):
            read_connection_id(alchemy_conn_id)
    except AlchemyArgumentError as error:
        raise final(error) from None


def is_template(value: Any) -> bool:
    """
    Tell whether an argument gets its value only when the task runs.

    :param value: The argument.
    :return: True for an XCom, an argument of a mapped task group, and a text with Jinja in it.
    """
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    # Airflow's values that are resolved later have this in common, and no public type.
    return callable(getattr(value, "iter_references", None))


def read_seconds(value: float | timedelta, argument: str, minimum: float = 0) -> float:
    """
    Check a duration.

    :param value: Seconds or a timedelta.
    :param argument: The argument's name, for the error.
    :param minimum: Seconds from which it may be.
    :return: Seconds.
    :raises AlchemyArgumentError: It is shorter than that, or no duration.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not math.isfinite(seconds) or seconds < minimum:
        msg = f"argument {argument!r} is {value!r}; expected a number of seconds from {minimum:g}, or a timedelta"
        raise final(AlchemyArgumentError(msg))
    return float(seconds)


def read_longest_interval(
    max_poll_interval: float | timedelta | None, poll_interval: float, poll_argument: str = "poll_interval"
) -> float:
    """
    Check the longest interval of an adaptive wait.

    :param max_poll_interval: Seconds or a timedelta; None: ten minutes, or ``poll_interval`` where that is longer.
    :param poll_interval: The shortest interval, in seconds.
    :param poll_argument: How the task names the shortest interval, for the error.
    :return: Seconds.
    :raises AlchemyArgumentError: It is shorter than the shortest, or no duration.
    """
    if max_poll_interval is None:
        return max(DEFAULT_MAX_INTERVAL_SECONDS, poll_interval)
    longest = read_seconds(max_poll_interval, "max_poll_interval")
    if longest < poll_interval:
        msg = (
            f"argument 'max_poll_interval' is {longest:g} s, shorter than {poll_argument!r}, which is "
            f"{poll_interval:g} s; expected at least as much"
        )
        raise final(
            AlchemyArgumentError(msg, advice=f"Raise max_poll_interval, lower {poll_argument}, or leave it out")
        )
    return longest


def read_spending_limit(max_compute_units: int | None, calls: int = 1) -> int | None:
    """
    Check what a task may spend.

    :param max_compute_units: Compute units; None: any amount.
    :param calls: How many calls the task makes at least.
    :return: Compute units.
    :raises AlchemyArgumentError: It does not pay for those calls, or is no whole number.
    """
    limit = read_count(max_compute_units, "max_compute_units")
    price = REINGEST_CONTRACT.compute_units * calls
    if limit is not None and limit < price:
        what = "one call of reingestContract costs" if calls == 1 else f"to ask for {calls:,} contracts once costs"
        msg = f"argument 'max_compute_units' is {limit}; {what} {price}"
        raise final(AlchemyArgumentError(msg, advice=f"Raise it to {price} at least, or leave it out for no limit"))
    return limit


def read_count(value: int | None, argument: str) -> int | None:
    """
    Check a number of times.

    :param value: A whole number, or None for any number of times.
    :param argument: The argument's name, for the error.
    :return: The number.
    :raises AlchemyArgumentError: It is negative, or no whole number.
    """
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        msg = f"argument {argument!r} is {value!r}; expected a whole number from 0, or None for no limit"
        raise final(AlchemyArgumentError(msg))
    return value


def read_choice(value: Any, argument: str, choices: Sequence[str | None]) -> Any:
    """
    Check an argument that knows few values.

    :param value: The argument.
    :param argument: Its name, for the error.
    :param choices: The values.
    :return: The same.
    :raises AlchemyArgumentError: It is none of them.
    """
    if value not in choices:
        msg = f"argument {argument!r} is {value!r}; expected {' or '.join(map(repr, choices))}"
        raise final(AlchemyArgumentError(msg))
    return value
