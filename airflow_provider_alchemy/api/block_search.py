# SPDX-License-Identifier: Apache-2.0
"""
Which block was the first one that is not before a moment: the search for it, one question at a time. No I/O.

Blocks come at a steady pace most of the time, so the answer to one question tells where to ask next; where the pace
misleads, every third question halves what is left. A search may stop at any question, and goes on in another process.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self


class Mark(NamedTuple):
    """
    A block whose time is known.

    :param block: Its number.
    :param seconds: Its time, in seconds since 1970.
    """

    block: int
    seconds: float


@dataclass(slots=True)
class BlockSearch:
    """
    The search for the first block that is not before a moment.

    :param moment: The moment, in seconds since 1970.
    :param low: Every block before this one is before the moment.
    :param high: A block that is not before the moment; None: none is known, perhaps because there is none yet.
    :param marks: The last two blocks that were asked about, the latest last: their distance tells the pace.
    :param questions: How many were answered since one is known that is not before the moment.
    """

    moment: float
    low: int = 0
    high: int | None = None
    marks: tuple[Mark, ...] = field(default=())
    questions: int = 0

    @classmethod
    def read(cls, data: Any) -> Self | None:
        """
        Rebuild a search.

        :param data: What ``to_dict`` gave.
        :return: The search; None where it is none.
        """
        try:
            marks = tuple(Mark(int(block), float(seconds)) for block, seconds in data["marks"])
            high = None if data["high"] is None else int(data["high"])
            return cls(float(data["moment"]), int(data["low"]), high, marks[-2:], int(data["questions"]))
        except (KeyError, TypeError, ValueError):
            return None

    def to_dict(self) -> dict[str, Any]:
        """Give the search as JSON values."""
        return {
            "moment": self.moment,
            "low": self.low,
            "high": self.high,
            "marks": [list(mark) for mark in self.marks],
            "questions": self.questions,
        }

    @property
    def found(self) -> int | None:
        """The block; None: not known yet."""
        return self.high if self.high == self.low else None

    def next_block(self, newest_block: int) -> int | None:
        """
        Tell which block to ask about.

        :param newest_block: The newest block that counts.
        :return: The block; None: the search is over, or no block has come since the last look.
        """
        if self.high is None:
            return newest_block if newest_block >= self.low else None
        if self.low == self.high:
            return None
        last = self.high - 1
        guess = None if self.questions % 3 == 2 else self._guess()  # noqa: PLR2004 - every third
        return (self.low + last) // 2 if guess is None else min(max(guess, self.low), last)

    def saw(self, block: int, seconds: float) -> None:
        """
        Learn the time of a block.

        :param block: The block.
        :param seconds: Its time, in seconds since 1970.
        """
        self.marks = (*self.marks, Mark(block, seconds))[-2:]
        if seconds < self.moment:
            self.low = max(self.low, block + 1)
        else:
            self.high = block if self.high is None else min(self.high, block)
        if self.high is not None:
            self.questions += 1
            # Nodes that tell different times of a block must not lead the search astray for ever.
            self.low = min(self.low, self.high)

    def _guess(self) -> int | None:
        """Guess the block by the pace of the last two answers; None: they tell none."""
        if len(self.marks) < 2:  # noqa: PLR2004 - a pace has two ends
            return None
        (one, then), (other, now) = self.marks
        if one == other or now == then:
            return None
        guess = other + (self.moment - now) * (other - one) / (now - then)
        # Downwards: a block that is before the moment is as good an answer as one that is not.
        return int(guess)
