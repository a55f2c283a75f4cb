# SPDX-License-Identifier: Apache-2.0
"""
The tokens of a task, as a person, a template or another task wrote them, and as Airflow's database keeps them. No I/O.

Ids mostly come in runs (a collection's tokens 0 to 9,999): kept as such, ten thousand take a few characters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from airflow_provider_alchemy.api.errors import AlchemyTokenIdError
from airflow_provider_alchemy.api.lists import Shortened, read_items
from airflow_provider_alchemy.api.tokens import read_token_id

ARGUMENT = "token_ids"
EXPECTED = "expected a list of token ids, or a text of them: a JSON or Python list, or separated by commas or spaces"


@dataclass(frozen=True, slots=True)
class TokenList:
    """
    The tokens of a task.

    :param ids: Each token once, in the order in which they were first named.
    :param duplicates: How many more were named, again or in another form.
    """

    ids: tuple[int, ...]
    duplicates: int = 0

    def digest(self) -> str:
        """Tell this list from any other, also in another process: positions in it mean the same only there."""
        return digest_of(self.ids)


def read_token_ids(value: Any, is_unknown: Callable[[Any], bool] = lambda _: False) -> TokenList:
    """
    Check the tokens of a task before anything is sent.

    :param value: A list or any other iterable of ids (int, or text of decimal or hexadecimal digits), or a text of
        them. An empty list is one: nothing was minted.
    :param is_unknown: Tells which items get their value only later; they are left out. Default: none.
    :return: The tokens.
    :raises AlchemyArgumentError: The value is no list.
    :raises AlchemyTokenIdError: One is no token id; the text names the first with its position.
    """
    items = read_items(value, ARGUMENT, EXPECTED)
    named = list(_read_ids(items, is_unknown))
    ids = tuple(dict.fromkeys(named))
    return TokenList(ids, len(named) - len(ids))


def pack_ids(ids: Iterable[int]) -> str:
    """
    Write token ids as a short text.

    :param ids: The ids.
    :return: Runs of ids that follow each other, such as ``0-99,250``; in hexadecimal digits.
    """
    runs: list[str] = []
    first = last = -1
    for token_id in ids:
        if first >= 0 and token_id == last + 1:
            last = token_id
            continue
        if first >= 0:
            runs.append(_run(first, last))
        first = last = token_id
    if first >= 0:
        runs.append(_run(first, last))
    return ",".join(runs)


def digest_of(ids: Iterable[int]) -> str:
    """
    Tell a list of tokens from any other, also in another process.

    :param ids: The tokens.
    :return: A short text.
    """
    return hashlib.sha256(pack_ids(ids).encode()).hexdigest()[:32]


def unpack_ids(text: str) -> tuple[int, ...]:
    """
    Read what ``pack_ids`` wrote.

    :param text: The text.
    :return: The ids, in the same order.
    :raises ValueError: It is no such text.
    """
    return tuple(token_id for run in text.split(",") if run for token_id in _ids_of(run))


def _run(first: int, last: int) -> str:
    return f"{first:x}" if first == last else f"{first:x}-{last:x}"


def _ids_of(run: str) -> Iterable[int]:
    first, _, last = run.partition("-")
    ids = range(int(first, 16), int(last or first, 16) + 1)
    if not ids or ids[0] < 0:
        msg = f"{run[:100]!r} is no run of token ids"
        raise ValueError(msg)
    return ids


def _read_ids(items: list[Any], is_unknown: Callable[[Any], bool]) -> Iterator[int]:
    first: AlchemyTokenIdError | None = None
    wrong = 0
    for position, item in enumerate(items):
        if is_unknown(item):
            continue
        place = f"{ARGUMENT}[{position}] (number {position + 1:,} of {len(items):,})"
        try:
            yield read_token_id(item if isinstance(item, str | int) else Shortened(item), place)
        except AlchemyTokenIdError as error:
            error.what = error.what.replace(f"argument {place!r}", place, 1)
            first = first or error
            wrong += 1
    if first is None:
        return
    if wrong > 1:
        first.what += f"; {wrong - 1:,} more of the ids cannot be right either"
    raise first
