# SPDX-License-Identifier: Apache-2.0
"""What may stand in the arguments of a task that waits for new tokens; each error is final, as in ``arguments``."""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy.api import inputs, mint_arguments
from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.tasks.arguments import is_template
from airflow_provider_alchemy.tasks.failures import final


def check_begin(since_block: Any, since: Any) -> None:
    """
    Check where the task is to begin, as far as it is known before it runs.

    :param since_block: The number of a block, None, a template or an XCom.
    :param since: A moment, None, a template or an XCom.
    :raises AlchemyArgumentError: One of them cannot be right, or both are given.
    """
    if since_block is not None and since is not None:
        msg = "both arguments 'since_block' and 'since' are given; expected one of them, or none"
        raise final(AlchemyArgumentError(msg, advice="Leave out 'since', which only finds the block by its time"))
    try:
        if since_block is not None and not is_template(since_block):
            mint_arguments.read_since_block(since_block)
        if since is not None and not is_template(since):
            mint_arguments.read_since(since)
    except AlchemyArgumentError as error:
        raise final(error) from None


def read_min_tokens(min_tokens: Any) -> int:
    """
    Check how many tokens are waited for.

    :param min_tokens: A whole number from 1.
    :return: The number.
    :raises AlchemyArgumentError: It is none.
    """
    try:
        return mint_arguments.read_min_tokens(min_tokens)
    except AlchemyArgumentError as error:
        raise final(error) from None


def read_confirmations(confirmations: Any) -> int:
    """
    Check how many blocks must follow a block before it counts.

    :param confirmations: A whole number from 0.
    :return: The number.
    :raises AlchemyArgumentError: It is none.
    """
    try:
        return inputs.read_confirmations(confirmations)
    except AlchemyArgumentError as error:
        raise final(error) from None
