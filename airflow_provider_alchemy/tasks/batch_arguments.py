# SPDX-License-Identifier: Apache-2.0
"""What may stand in the arguments of a task with many contracts or tokens; each error is final, as in ``arguments``."""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy.api import inputs
from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.inputs import CONTRACTS_ARGUMENT, CONTRACTS_EXPECTED, read_contracts, read_items
from airflow_provider_alchemy.tasks.arguments import is_template
from airflow_provider_alchemy.tasks.failures import final


def read_list(contract_addresses: Any) -> tuple[Any, int]:
    """
    Check the contracts that are known before the task runs.

    :param contract_addresses: A list, a text, a template or an XCom.
    :return: What the task keeps (of an iterable that can be read only once, a list), and how many different contracts
        are known: 1 at least.
    :raises AlchemyArgumentError: One of them cannot be right, or there is none, or there are too many.
    """
    if is_template(contract_addresses):
        return contract_addresses, 1
    try:
        items = read_items(contract_addresses, CONTRACTS_ARGUMENT, CONTRACTS_EXPECTED)
        known = len(read_contracts(items, is_template).addresses)
    except AlchemyArgumentError as error:
        raise final(error) from None
    is_as_given = isinstance(contract_addresses, str | list | tuple)
    return contract_addresses if is_as_given else items, max(known, 1)


def read_tokens(token_ids: Any) -> tuple[Any, int]:
    """
    Check the tokens that are known before the task runs.

    :param token_ids: A list, a text, a template, an XCom, or None.
    :return: What the task keeps (of an iterable that can be read only once, a list), and how many different tokens are
        known.
    :raises AlchemyArgumentError: One of them cannot be right.
    """
    if token_ids is None or is_template(token_ids):
        return token_ids, 0
    try:
        items = read_items(token_ids, inputs.TOKENS_ARGUMENT, inputs.TOKENS_EXPECTED)
        known = len(inputs.read_token_ids(items, is_template).ids)
    except AlchemyArgumentError as error:
        raise final(error) from None
    is_as_given = isinstance(token_ids, str | list | tuple)
    return token_ids if is_as_given else items, known


def read_amount(value: float, argument: str, things: str) -> float:
    """
    Check how many of several.

    :param value: An int from 0 for their number, or a float from 0 to 1 for their share.
    :param argument: The argument's name, for the error.
    :param things: What they are, for the error.
    :return: The same.
    :raises AlchemyArgumentError: It is neither.
    """
    is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    is_share = isinstance(value, float) and 0 <= value <= 1
    if not is_number and not is_share:
        msg = (
            f"argument {argument!r} is {value!r}; expected a whole number of {things} from 0, or a share of them as a "
            "decimal from 0.0 to 1.0"
        )
        raise final(AlchemyArgumentError(msg))
    return value
