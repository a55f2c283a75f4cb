# SPDX-License-Identifier: Apache-2.0
"""
What it means that an endpoint is not there, and what to use instead of ``reingestContract``. No I/O.

Alchemy has deprecated ``reingestContract``, and offers some endpoints on some networks only. Whoever meets that in the
middle of the night needs the way out, not a status.
"""

from __future__ import annotations

import re

from airflow_provider_alchemy.api.errors import (
    AlchemyEndpointGoneError,
    AlchemyError,
    AlchemyHostNotFoundError,
    AlchemyNetworkError,
)
from airflow_provider_alchemy.api.models import DEFAULT_NETWORK
from airflow_provider_alchemy.api.settings import ClientSettings

NOT_OFFERED = ("isn't enabled for that chain", "endpoint isn't enabled")
"""What Alchemy says where a network does not have an endpoint (its page on errors); it has no status of its own."""

USUAL_CONNECTION = "'alchemy_default'"

_CONNECTION = re.compile(r"connection ('[^']*')")


def is_not_offered(error: AlchemyError) -> bool:
    """
    Tell whether an error says that a network does not have an endpoint.

    :param error: What went wrong, perhaps in another process: of its type only the text is left then.
    :return: Whether it does. False where only the app may not use the network, which the user can mend.
    """
    return isinstance(error, AlchemyNetworkError) and any(words in error.what.lower() for words in NOT_OFFERED)


def is_gone(error: AlchemyError) -> bool:
    """
    Tell whether an endpoint is not there (any more): neither a retry nor another key can help.

    :param error: What went wrong.
    :return: Whether the endpoint or its host is gone, or the network does not have it.
    """
    return isinstance(error, AlchemyEndpointGoneError | AlchemyHostNotFoundError) or is_not_offered(error)


def advise_on_reingest(error: AlchemyError, contract_address: str, settings: ClientSettings) -> str:
    """
    Give what to do about an error of ``reingestContract``.

    :param error: What went wrong.
    :param contract_address: The collection's contract.
    :param settings: Network and source.
    :return: The error's own advice; where the endpoint is not there, the line that refreshes the collection all the
        same.
    """
    if not is_gone(error):
        return error.advice
    instead = (
        f"refresh the collection's tokens instead: {line_instead(contract_address, settings)} from "
        "airflow_provider_alchemy.operators.collection"
    )
    if is_not_offered(error):
        return f"reingestContract knows {DEFAULT_NETWORK} only: {instead}"
    if isinstance(error, AlchemyHostNotFoundError):
        return f"{error.advice}. If the host is gone for good, {instead}"
    return (
        f"Alchemy has deprecated reingestContract: {instead}. If it should be there, leave the connection's host "
        "empty or try the other api_version in its extra"
    )


def line_instead(contract_address: str, settings: ClientSettings) -> str:
    """
    Give the line that refreshes a collection on today's API.

    :param contract_address: The collection's contract.
    :param settings: Network and source.
    :return: Python; only what differs from the operator's defaults is in it.
    """
    arguments = {"task_id": "'refresh'", "contract_address": repr(contract_address)}
    if settings.network != DEFAULT_NETWORK:
        arguments["network"] = repr(settings.network)
    # A client knows of Airflow's connection no more than what people are told of it.
    connection = _CONNECTION.fullmatch(settings.source)
    if connection is not None and connection[1] != USUAL_CONNECTION:
        arguments["alchemy_conn_id"] = connection[1]
    return f"RefreshCollectionOperator({', '.join(f'{name}={value}' for name, value in arguments.items())})"
