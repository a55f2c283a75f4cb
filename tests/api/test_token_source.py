# SPDX-License-Identifier: Apache-2.0
"""Where the tokens of a refresh come from: given ids, or pages that may overlap, lead in a circle or never end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from airflow_provider_alchemy.api.collection_record import CollectionRecord, Method
from airflow_provider_alchemy.api.endpoints import Call
from airflow_provider_alchemy.api.errors import AlchemyServerError, AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.api.models import Token, TokenPage
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.token_source import MOST_BARREN_PAGES, TOKENS_AHEAD, TokenSource

SETTINGS = ClientSettings(api_key="some-key")

CONTRACT = "0xe9fca552b9eb110c2d170962af740725f71f5644"


class Book:
    """Pages by the key that leads to them."""

    def __init__(self, *pages: tuple[Sequence[int], str | None], first: str | None = None) -> None:
        keys = [first, *(key for _, key in pages[:-1])]
        self._pages = dict(zip(keys, pages, strict=True))
        self.asked: list[str | None] = []

    async def ask(self, call: Call[TokenPage]) -> TokenPage:
        key = (call.params or {}).get("startToken")
        self.asked.append(key)
        ids, next_key = self._pages[key]
        return TokenPage(tuple(Token(CONTRACT, token_id) for token_id in ids), next_key=next_key)


def record_of(**known: Any) -> CollectionRecord:
    record = CollectionRecord.begin(CONTRACT, "eth-mainnet", Method.BATCH)
    for name, value in known.items():
        setattr(record, name, value)
    return record


async def read_all(book: Book, record: CollectionRecord | None = None) -> CollectionRecord:
    record = record or record_of()
    source = TokenSource(record, None, SETTINGS, book.ask)
    while not record.is_taken:
        await source.take_on_more()
    return record


def ids_of(record: CollectionRecord) -> list[int]:
    return [token_id for group in record.todo for token_id in group.token_ids]


class TestPages:
    async def test_they_are_followed_to_the_last(self) -> None:
        book = Book(([0, 1], "0x2"), ([2, 3], "0x4"), ([4], None))

        record = await read_all(book)

        assert (ids_of(record), record.tokens, book.asked) == ([0, 1, 2, 3, 4], 5, [None, "0x2", "0x4"])

    async def test_an_empty_collection_has_one_page(self) -> None:
        record = await read_all(Book(([], None)))

        assert (ids_of(record), record.tokens, record.is_taken) == ([], 0, True)

    async def test_another_process_goes_on_where_one_stopped(self) -> None:
        book = Book(([2, 3], "0x4"), ([4], None), first="0x2")

        record = await read_all(book, record_of(next_key="0x2", tokens=2))

        assert (ids_of(record), record.tokens, book.asked) == ([2, 3, 4], 5, ["0x2", "0x4"])

    async def test_a_token_that_the_next_page_shows_again_is_one(self) -> None:
        record = await read_all(Book(([0, 1, 1], "0x2"), ([1, 2], None)))

        assert (ids_of(record), record.tokens) == ([0, 1, 2], 3)

    @pytest.mark.parametrize("circle", ["0x2", "0x4"])
    async def test_pages_in_a_circle_are_an_error(self, circle: str) -> None:
        book = Book(([0, 1], "0x2"), ([2, 3], "0x4"), ([4, 5], circle))

        with pytest.raises(AlchemyUnexpectedAnswerError, match="as the next page, which was read before"):
            await read_all(book)

        assert len(book.asked) == 3

    async def test_pages_without_a_new_token_do_not_go_on_for_ever(self) -> None:
        pages = [([0, 1], f"key {number}") for number in range(50)]

        with pytest.raises(AlchemyUnexpectedAnswerError, match="10 pages in a row had no new token"):
            await read_all(book := Book(*pages, ([], None)))

        assert len(book.asked) == MOST_BARREN_PAGES + 1

    async def test_the_last_of_many_empty_pages_is_an_end(self) -> None:
        pages: list[tuple[list[int], str]] = [([], f"key {number}") for number in range(MOST_BARREN_PAGES - 1)]

        assert (await read_all(Book(*pages, ([], None)))).is_taken

    async def test_a_page_that_cannot_be_read_leaves_the_record_as_it_was(self) -> None:
        async def fail(_: Any) -> TokenPage:
            msg = "the service failed"
            raise AlchemyServerError(msg)

        record = record_of(next_key="0x2", tokens=2)
        with pytest.raises(AlchemyServerError):
            await TokenSource(record, None, SETTINGS, fail).take_on_more()

        assert (record.next_key, record.tokens, record.is_taken, record.todo) == ("0x2", 2, False, [])


class TestGivenIds:
    async def take_on(self, ids: Sequence[int], **known: Any) -> CollectionRecord:
        record = record_of(**known)
        source = TokenSource(record, ids, SETTINGS, Book(([], None)).ask)
        await source.take_on_more()
        return record

    async def test_they_are_taken_a_thousand_at_a_time(self) -> None:
        given = range(0, 5000, 2)

        record = await self.take_on(given)
        assert (record.tokens, record.given, record.is_taken) == (TOKENS_AHEAD, TOKENS_AHEAD, False)

        source = TokenSource(record, given, SETTINGS, Book(([], None)).ask)
        assert not source.has_room
        await source.take_on_more()
        await source.take_on_more()
        assert (ids_of(record), record.tokens, record.is_taken) == (list(given), 2500, True)

    async def test_none_given_is_none_to_take(self) -> None:
        record = await self.take_on(())

        assert (record.tokens, record.is_taken, record.todo) == (0, True, [])

    async def test_another_process_goes_on_where_one_stopped(self) -> None:
        record = await self.take_on(range(100, 110), given=7, tokens=7)

        assert (ids_of(record), record.tokens, record.is_taken) == ([107, 108, 109], 10, True)


async def test_no_more_is_read_than_is_asked_for_soon() -> None:
    record = record_of()
    source = TokenSource(record, None, SETTINGS, Book(([], None)).ask)
    record.take_on(range(TOKENS_AHEAD - 1))
    assert source.has_room

    record.take_on([TOKENS_AHEAD])

    assert not source.has_room
