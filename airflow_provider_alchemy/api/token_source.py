# SPDX-License-Identifier: Apache-2.0
"""Where the tokens of a refresh come from, some at a time: the pages of the collection, or the ids that were given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from airflow_provider_alchemy.api.collection_record import CollectionRecord
from airflow_provider_alchemy.api.endpoints import Call, PageKeys, describe, get_nfts_for_contract
from airflow_provider_alchemy.api.errors import AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.api.models import TokenPage
from airflow_provider_alchemy.api.settings import ClientSettings

TOKENS_AHEAD = 1_000
"""Tokens that wait for their first call: enough for the calls that end together, and few to keep."""

MOST_BARREN_PAGES = 10
"""Pages in a row without a new token: a listing that goes on like that is broken, and each page costs 600 units."""

Ask = Callable[[Call[TokenPage]], Awaitable[TokenPage]]


class TokenSource:
    """
    Takes tokens on.

    :param record: The refresh; it remembers where the reading goes on.
    :param given: The ids that were given; None: the collection is listed.
    :param settings: Whose account, for the listing.
    :param ask: Asks for a page.
    """

    def __init__(
        self, record: CollectionRecord, given: Sequence[int] | None, settings: ClientSettings, ask: Ask
    ) -> None:
        self._record = record
        self._given = given
        self._settings = settings
        self._ask = ask
        self._subject = describe(record.contract_address, settings)
        self._keys = PageKeys(record.next_key)
        self._page_before: frozenset[int] = frozenset()
        self._barren = 0

    @property
    def has_room(self) -> bool:
        """Whether more tokens may be taken on."""
        return sum(group.count for group in self._record.todo) < TOKENS_AHEAD

    async def take_on_more(self) -> None:
        """
        Take on the next tokens.

        :raises AlchemyUnexpectedAnswerError: The pages lead in a circle, or bring nothing new.
        :raises AlchemyError: What went wrong with a page.
        """
        record = self._record
        if self._given is not None:
            ids = self._given[record.given : record.given + TOKENS_AHEAD]
            record.given += len(ids)
            record.is_taken = record.given >= len(self._given)
            record.take_on(ids)
            return
        page = await self._ask(
            get_nfts_for_contract(record.contract_address, self._settings, start_token=record.next_key)
        )
        self._keys.check(page, self._subject)
        ids = self._new_ids(page)
        record.take_on(ids)
        record.next_key, record.is_taken = page.next_key, page.next_key is None

    def _new_ids(self, page: TokenPage) -> tuple[int, ...]:
        # A collection that grows while it is read may show a token again, on the page after.
        listed = tuple(dict.fromkeys(token.token_id for token in page.tokens))
        ids = tuple(token_id for token_id in listed if token_id not in self._page_before)
        self._page_before = frozenset(listed)
        self._barren = 0 if ids else self._barren + 1
        if self._barren >= MOST_BARREN_PAGES and page.next_key is not None:
            msg = f"{MOST_BARREN_PAGES} pages in a row had no new token, and yet there are more"
            raise AlchemyUnexpectedAnswerError(msg, subject=self._subject)
        return ids
