# SPDX-License-Identifier: Apache-2.0
"""Moments by position, at eight bytes each: what is remembered of a collection of any size stays small.

Memory is taken in pages, so that a collection of which a few tokens are refreshed costs next to nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

_PAGE = 256


class SparseTimes:
    """A list of moments without an end, all the same at first.

    :param empty: the moment at every position that was not set.
    """

    __slots__ = ("_empty", "_pages")

    def __init__(self, empty: float) -> None:
        self._empty = empty
        self._pages: dict[int, array[float]] = {}

    def __getitem__(self, position: int) -> float:
        page = self._pages.get(position // _PAGE)
        return self._empty if page is None else page[position % _PAGE]

    def __setitem__(self, position: int, moment: float) -> None:
        page = self._pages.get(position // _PAGE)
        if page is None:
            page = self._pages[position // _PAGE] = array("d", [self._empty]) * _PAGE
        page[position % _PAGE] = moment

    def rearranged(self, moves: Iterable[tuple[int, int]]) -> SparseTimes:
        """Give the moments in other positions.

        :param moves: the old position and the new one; those that are not named are empty.
        :return: a new list.
        """
        moved = SparseTimes(self._empty)
        for old, new in moves:
            if self[old] != self._empty:
                moved[new] = self[old]
        return moved
