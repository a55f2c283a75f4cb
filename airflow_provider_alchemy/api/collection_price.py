# SPDX-License-Identifier: Apache-2.0
"""What the refresh of a collection costs, known before the first of it is asked for. No I/O."""

from __future__ import annotations

from airflow_provider_alchemy.api.collection_record import CollectionRecord, Method, Stage
from airflow_provider_alchemy.api.endpoints import REFRESH_NFT_METADATA, price_of_listing, price_of_look
from airflow_provider_alchemy.api.errors import AlchemySpendingLimitError


def price_of(tokens: int, method: Method, *, is_listed: bool) -> int:
    """
    Give the price of a refresh in which each token is asked for once.

    :param tokens: Tokens.
    :param method: How they are refreshed.
    :param is_listed: Whether the collection has to be listed for their ids.
    :return: Compute units (Alchemy's page on compute units).
    """
    units = price_of_look(tokens)
    if method is Method.QUEUE:
        units += tokens * REFRESH_NFT_METADATA.compute_units
    return units + (price_of_listing(tokens) if is_listed else 0)


def price_of_rest(record: CollectionRecord) -> int | None:
    """
    Give the price of what a refresh has not asked for yet.

    :param record: The refresh.
    :return: Compute units; None where nobody knows how many tokens there are.
    """
    if record.is_taken:
        rest, is_listed = 0, False
    elif record.supply is None:
        return None
    else:
        rest, is_listed = max(record.supply - record.tokens, 0), not record.digest
    tokens = rest + record.open_in_stage
    if record.stage is Stage.DONE or (record.is_taken and not tokens):
        return 0
    return price_of(tokens, record.method, is_listed=is_listed)


def check_price(price: int | None, spent: int, max_compute_units: int | None, subject: str) -> None:
    """
    Refuse a refresh that would cost too much, before it begins.

    :param price: Compute units of what is left to do; None: it is not known, and the limit counts on the way.
    :param spent: Compute units that the task has spent.
    :param max_compute_units: What it may spend in all; None: any amount.
    :param subject: What the refresh is of, for the error.
    :raises AlchemySpendingLimitError: It would cost more.
    """
    if price is None or max_compute_units is None or spent + price <= max_compute_units:
        return
    known = f", {spent:,} are spent" if spent else ""
    msg = f"the refresh costs {price:,} compute units{known}, and max_compute_units is {max_compute_units:,}"
    raise AlchemySpendingLimitError(
        msg,
        subject=subject,
        advice=f"Raise max_compute_units to {spent + price:,} at least, or refresh fewer tokens with token_ids; "
        "nothing was refreshed for it",
    )
