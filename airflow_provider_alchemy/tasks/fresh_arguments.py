# SPDX-License-Identifier: Apache-2.0
"""What may stand in the arguments of a task that waits for fresh metadata; each error is final, as in ``arguments``."""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.fresh_since import read_fresh_since
from airflow_provider_alchemy.api.lists import read_items
from airflow_provider_alchemy.api.sampling import LEAST_PRICE_OF_SAMPLE, MOST_SAMPLED, price_of_look
from airflow_provider_alchemy.api.token_lists import ARGUMENT, EXPECTED, read_token_ids
from airflow_provider_alchemy.tasks.arguments import is_template, read_count
from airflow_provider_alchemy.tasks.failures import final


def check_moment(fresh_since: Any) -> None:
    """
    Check a moment that is known before the task runs.

    :param fresh_since: A moment, a template or an XCom.
    :raises AlchemyArgumentError: It cannot be right. Whether it is still to come is for the task to see.
    """
    try:
        if not is_template(fresh_since):
            read_fresh_since(fresh_since)
    except AlchemyArgumentError as error:
        raise final(error) from None


def read_tokens(token_ids: Any) -> tuple[Any, int]:
    """
    Check the tokens that are known before the task runs.

    :param token_ids: A list, a text, a template, an XCom, or None for a sample.
    :return: What the task keeps (of an iterable that can be read only once, a list), and the price of asking for the
        known ones once, in compute units.
    :raises AlchemyArgumentError: One of them cannot be right.
    """
    if token_ids is None:
        return None, LEAST_PRICE_OF_SAMPLE
    if is_template(token_ids):
        return token_ids, 0
    try:
        items = read_items(token_ids, ARGUMENT, EXPECTED)
        price = price_of_look(len(read_token_ids(items, is_template).ids))
    except AlchemyArgumentError as error:
        raise final(error) from None
    is_as_given = isinstance(token_ids, str | list | tuple)
    return token_ids if is_as_given else items, price


def read_spending(max_compute_units: int | None, price: int) -> int | None:
    """
    Check what a task may spend.

    :param max_compute_units: Compute units; None: any amount.
    :param price: What the task spends at least.
    :return: Compute units.
    :raises AlchemyArgumentError: It is less, or no whole number.
    """
    limit = read_count(max_compute_units, "max_compute_units")
    if limit is not None and limit < price:
        msg = f"argument 'max_compute_units' is {limit:,}; to ask for the tokens once costs {price:,} at least"
        raise final(AlchemyArgumentError(msg, advice=f"Raise it to {price:,} at least, or leave it out for no limit"))
    return limit


def read_sample_size(sample_size: int) -> int:
    """
    Check the size of a sample.

    :param sample_size: Tokens.
    :return: The same.
    :raises AlchemyArgumentError: It is no whole number from 1 to ``MOST_SAMPLED``.
    """
    is_number = isinstance(sample_size, int) and not isinstance(sample_size, bool)
    if not is_number or not 1 <= sample_size <= MOST_SAMPLED:
        msg = f"argument 'sample_size' is {sample_size!r}; expected a whole number from 1 to {MOST_SAMPLED:,}"
        raise final(AlchemyArgumentError(msg, advice="To wait for more tokens, name them with token_ids"))
    return sample_size


def read_seed(seed: int | None) -> int | None:
    """
    Check a seed.

    :param seed: A whole number, or None.
    :return: The same.
    :raises AlchemyArgumentError: It is something else.
    """
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
        msg = (
            f"argument 'seed' is {seed!r}; expected a whole number, or None for one that is derived from the task's run"
        )
        raise final(AlchemyArgumentError(msg))
    return seed


def read_min_fresh(min_fresh: float) -> float:
    """
    Check how many tokens have to be fresh.

    :param min_fresh: An int from 0 for their number, or a float from 0 to 1 for their share.
    :return: The same.
    :raises AlchemyArgumentError: It is neither.
    """
    is_number = isinstance(min_fresh, int) and not isinstance(min_fresh, bool) and min_fresh >= 0
    is_share = isinstance(min_fresh, float) and 0 <= min_fresh <= 1
    if not is_number and not is_share:
        msg = (
            f"argument 'min_fresh' is {min_fresh!r}; expected a share of the tokens as a decimal from 0.0 to 1.0, or a "
            "whole number of them"
        )
        raise final(AlchemyArgumentError(msg))
    return min_fresh
