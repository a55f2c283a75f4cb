# SPDX-License-Identifier: Apache-2.0
"""What may stand in the arguments of a task with many contracts; each error is final, as in ``arguments``."""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy.api.contract_lists import ARGUMENT, EXPECTED, read_contracts
from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.lists import read_items
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
        items = read_items(contract_addresses, ARGUMENT, EXPECTED)
        known = len(read_contracts(items, is_template).addresses)
    except AlchemyArgumentError as error:
        raise final(error) from None
    is_as_given = isinstance(contract_addresses, str | list | tuple)
    return contract_addresses if is_as_given else items, max(known, 1)


def read_max_failed(value: float, things: str) -> float:
    """
    Check how many may fail.

    :param value: An int from 0 for their number, or a float from 0 to 1 for their share.
    :param things: What they are, for the error.
    :return: The same.
    :raises AlchemyArgumentError: It is neither.
    """
    is_number = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    is_share = isinstance(value, float) and 0 <= value <= 1
    if not is_number and not is_share:
        msg = (
            f"argument 'max_failed' is {value!r}; expected a whole number of {things} from 0, or a share of them as a "
            "decimal from 0.0 to 1.0"
        )
        raise final(AlchemyArgumentError(msg))
    return value
