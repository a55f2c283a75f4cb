# SPDX-License-Identifier: Apache-2.0
"""
What may stand in a task's arguments: literals are checked where the DAG is parsed, templates once rendered.

What is wrong with an argument is the user's to mend, so Airflow must not retry it: each error is final.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import XComArg

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.models import read_contract_address, read_network
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
    :return: True for an XCom and for a text with Jinja in it.
    """
    if isinstance(value, str):
        return "{{" in value or "{%" in value
    return isinstance(value, XComArg)


def read_connection_id(value: Any) -> str:
    """
    Check a connection id.

    :param value: The id as a person or a template wrote it.
    :return: The id.
    :raises AlchemyArgumentError: It is empty or no text.
    """
    if not isinstance(value, str) or not value.strip():
        is_blank = isinstance(value, str)
        problem = "is empty, or its template rendered to nothing" if is_blank else f"is {value!r}"
        msg = f"argument 'alchemy_conn_id' {problem}; expected the id of a connection of type Alchemy"
        raise AlchemyArgumentError(msg)
    return value.strip()


def read_seconds(value: float | timedelta, argument: str) -> float:
    """
    Check a duration.

    :param value: Seconds or a timedelta.
    :param argument: The argument's name, for the error.
    :return: Seconds.
    :raises AlchemyArgumentError: It is negative, or no duration.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not math.isfinite(seconds) or seconds < 0:
        msg = f"argument {argument!r} is {value!r}; expected a number of seconds from 0, or a timedelta"
        raise final(AlchemyArgumentError(msg))
    return float(seconds)


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
