# SPDX-License-Identifier: Apache-2.0
"""
The calls of a wait for fresh metadata: the listing that it samples, and the looks at its tokens.

The same in a worker and in the triggerer, which differ in whose session sends them.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, TypeVar

from airflow_provider_alchemy.api import endpoints
from airflow_provider_alchemy.api import endpoints as token_endpoints
from airflow_provider_alchemy.api.endpoints import (
    PAGE_ATTEMPTS,
    Call,
    PageKeys,
    pages_of,
    price_of_listing,
    price_of_look,
)
from airflow_provider_alchemy.api.errors import AlchemySpendingLimitError, AlchemyTimeoutError
from airflow_provider_alchemy.api.fresh_waiting import FreshWait
from airflow_provider_alchemy.api.looking import LookState, look_in_time
from airflow_provider_alchemy.api.models import TokenPage
from airflow_provider_alchemy.api.sampling import MOST_SAMPLED, Reservoir
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage

T = TypeVar("T")


class Sender(Protocol):
    """Whoever sends calls: a client, or a poller that many waits share."""

    @property
    def settings(self) -> ClientSettings:
        """Whose account, and the way to it."""

    async def send(
        self,
        call: Call[T],
        *,
        usage: Usage,
        max_attempts: int,
        spending_limit: SpendingLimit,
        retries_unexpected: bool = False,
    ) -> T:
        """Make a call, as ``AsyncAlchemyClient.send`` does."""


class _Budgeted:
    """Sends with what a wait may spend, and counts it."""

    def __init__(self, sender: Sender, wait: FreshWait, usage: Usage) -> None:
        self._sender = sender
        self._meter = usage
        self._allowance = wait.limits.spending_limit()

    async def send(self, call: Call[T], max_attempts: int, *, retries_unexpected: bool = False) -> T:
        return await self._sender.send(
            call,
            usage=self._meter,
            max_attempts=max_attempts,
            spending_limit=self._allowance,
            retries_unexpected=retries_unexpected,
        )


async def choose_sample(sender: Sender, wait: FreshWait, usage: Usage) -> None:
    """
    Sample the tokens to wait for out of the whole collection.

    :param sender: Whose account, and the way to it.
    :param wait: The wait; its record names the sample's size and seed, and gets the sample.
    :param usage: Counts what it costs, also where it fails.
    :raises AlchemyNoSuchCollectionError: The contract is no NFT.
    :raises AlchemySpendingLimitError: The wait may not spend what the listing costs.
    :raises AlchemyDeadlineError: The wait's time is over.
    :raises AlchemyError: What else went wrong.
    """
    # Ten attempts at a page that never comes are more than five minutes: the wait may have less.
    try:
        async with asyncio.timeout(wait.limits.seconds_for_calls(sender.settings.timeout)):
            await _sample(sender, wait, usage)
    except TimeoutError:
        wait.limits.check_deadlines()
        msg = "the list of the collection's tokens did not come in time"
        raise AlchemyTimeoutError(msg, subject=wait.subject) from None


async def _sample(sender: Sender, wait: FreshWait, usage: Usage) -> None:
    record, settings = wait.record, sender.settings
    budgeted = _Budgeted(sender, wait, usage)
    contract = await budgeted.send(endpoints.get_contract_metadata(record.contract_address, settings), PAGE_ATTEMPTS)
    contract.check_is_collection(wait.subject)
    _check_and_say_the_price(wait, contract.total_supply, usage)
    reservoir = Reservoir(record.sample_size or MOST_SAMPLED, record.seed or 0)
    keys, key = PageKeys(), None
    while True:
        call = token_endpoints.get_nfts_for_contract(record.contract_address, settings, start_token=key)
        try:
            page: TokenPage = await budgeted.send(call, PAGE_ATTEMPTS, retries_unexpected=True)
        except AlchemySpendingLimitError:
            raise _too_dear(wait, usage) from None
        keys.check(page, wait.subject)
        reservoir.add(token.token_id for token in page.tokens)
        if page.next_key is None:
            break
        key = page.next_key
        # A listing that never ends must not outlast its task.
        wait.limits.check_deadlines()
    record.choose(reservoir.sample())
    # The service has answered: a host that cannot be found from now on is no unknown network.
    record.state = LookState.WAITING.value
    wait.log.info(
        "%s: waiting for %s of %s tokens (a sample with seed %s) to be newer than %s",
        wait.subject,
        f"{len(record.tokens):,}",
        f"{reservoir.seen:,}",
        record.seed,
        record.fresh_since,
    )


async def look(sender: Sender, wait: FreshWait, usage: Usage) -> float | None:
    """
    Ask once for every token that is not proven yet, a hundred with each call. Nothing is refreshed by it.

    :param sender: Whose account, and the way to it.
    :param wait: The wait; its rules decide what the answers mean.
    :param usage: Counts what it costs, also where it fails.
    :return: Seconds until the next look; None: enough tokens are fresh.
    :raises AlchemyError: The wait has failed.
    """
    return await look_in_time(_pass(sender, wait, usage), wait, usage, sender.settings.timeout)


async def _pass(sender: Sender, wait: FreshWait, usage: Usage) -> None:
    record, settings = wait.record, sender.settings
    budgeted = _Budgeted(sender, wait, usage)
    # The wait itself is the retry of a poll, since each attempt is billed. The first look is worth more, and so is the
    # rest of a pass whose first call was answered.
    attempts = 1 if record.looks else settings.max_attempts
    while not wait.is_hopeless and (positions := wait.next_positions()):
        # uri_timeout_ms=0: what the service has in its cache. The sensor looks, others refresh.
        call = token_endpoints.get_nft_metadata_batch(
            record.contract_address, [record.tokens[place] for place in positions], settings, uri_timeout_ms=0
        )
        wait.saw(positions, await budgeted.send(call, attempts))
        attempts = settings.max_attempts


def _check_and_say_the_price(wait: FreshWait, supply: int | None, usage: Usage) -> None:
    if supply is None:
        words = "%s: reading the list of its tokens for a sample, 600 compute units for each hundred of them"
        wait.log.info(words, wait.subject)
        supply = 0
    else:
        wait.log.info(
            "%s: reading the list of its %s tokens for a sample: %s call%s, %s compute units",
            wait.subject,
            f"{supply:,}",
            f"{pages_of(supply):,}",
            "s"[: pages_of(supply) != 1],
            f"{price_of_listing(supply):,}",
        )
    sampled = min(supply, wait.record.sample_size or MOST_SAMPLED)
    price = usage.compute_units + price_of_listing(supply) + price_of_look(sampled)
    wait.limits.check_price(price, "a sample of its tokens and one poll cost {price:,}")


def _too_dear(wait: FreshWait, usage: Usage) -> AlchemySpendingLimitError:
    msg = (
        f"the list of the collection's tokens goes on after {usage.compute_units:,} compute units, and "
        f"max_compute_units is {wait.limits.max_compute_units:,}"
    )
    advice = "Raise max_compute_units, or name the tokens with token_ids, which needs no list"
    return AlchemySpendingLimitError(msg, subject=wait.subject, advice=advice)
