# SPDX-License-Identifier: Apache-2.0
"""
The search for the first block that is not before a moment, one question at a time. No I/O.

Blocks come at a steady pace most of the time, so the last two answers give the next guess; where the pace misleads,
every third question halves what is left. A search may stop after any answer, and goes on in another process.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class BlockSearch:
    """The search for the first block that is not before a moment, in seconds since 1970."""

    moment: float
    low: int = 0
    """Every block before this one is before the moment."""
    high: int | None = None
    """A block that is not before the moment; None: none is known, perhaps because there is none yet."""
    marks: tuple[tuple[int, float], ...] = ()
    """The last two blocks whose time was asked for, with their times."""
    answers: int = 0
    """Answers since a block is known that is not before the moment."""

    @property
    def found(self) -> int | None:
        return self.high if self.high == self.low else None

    def next_block(self, newest_block: int) -> int | None:
        """Give the block whose time is needed; None: the search is over, or no block has come since the last poll."""
        if self.high is None:
            return newest_block if newest_block >= self.low else None
        if self.low == self.high:
            return None
        last = self.high - 1
        guess = None if self.answers % 3 == 2 else self._guess()  # noqa: PLR2004 - every third
        return (self.low + last) // 2 if guess is None else min(max(guess, self.low), last)

    def add(self, block: int, seconds: float) -> None:
        self.marks = (*self.marks, (block, seconds))[-2:]
        if seconds < self.moment:
            self.low = max(self.low, block + 1)
        else:
            self.high = block if self.high is None else min(self.high, block)
        if self.high is not None:
            self.answers += 1
            # Nodes that give different times of a block must not lead the search astray.
            self.low = min(self.low, self.high)

    def _guess(self) -> int | None:
        """Guess the block by the pace of the last two answers; None: they give none."""
        if len(self.marks) < 2:  # noqa: PLR2004 - a pace has two ends
            return None
        (one, then), (other, now) = self.marks
        if one == other or now == then:
            return None
        # Downwards: a block that is before the moment is as good an answer as one that is not.
        return int(other + (self.moment - now) * (other - one) / (now - then))
