# SPDX-License-Identifier: Apache-2.0
"""What may stand in the arguments of a task that waits for fresh metadata; each error is final, as in ``arguments``."""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.inputs import read_fresh_since
from airflow_provider_alchemy.api.sampling import MOST_SAMPLED
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


def read_spending(max_compute_units: int | None, price: int, look: str = "to ask for the tokens once") -> int | None:
    """
    Check what a task may spend.

    :param max_compute_units: Compute units; None: any amount.
    :param price: What the task spends at least.
    :param look: For what it is spent, for the error.
    :return: Compute units.
    :raises AlchemyArgumentError: It is less, or no whole number.
    """
    limit = read_count(max_compute_units, "max_compute_units")
    if limit is not None and limit < price:
        msg = f"argument 'max_compute_units' is {limit:,}; {look} costs {price:,} at least"
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
