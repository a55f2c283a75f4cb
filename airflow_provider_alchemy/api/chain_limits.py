# SPDX-License-Identifier: Apache-2.0
"""
How much one call of ``eth_getLogs`` may ask for, learnt from what the API refuses. No I/O.

How many blocks a call may span depends on the plan, and Alchemy documents no number for it (free plans: as few as 10).
So the first call asks for all, and a refusal halves it, down to a round number, because limits are round: from 1,000
blocks a limit of 10 is found with seven refusals. What lies between the largest that went through and the smallest that
was refused is searched once. After a hundred calls at the limit a larger one is tried: plans change. A call that is
refused for its many logs says nothing about other blocks: it is halved too, and those after it grow again at once.
"""

from __future__ import annotations

import re
from enum import StrEnum
from http import HTTPStatus

from airflow_provider_alchemy.api.errors import (
    AlchemyError,
    AlchemyRequestError,
    AlchemyTimeoutError,
    AlchemyUnexpectedAnswerError,
)

MOST_BLOCKS = 10_000
"""Blocks that a call spans at most: more than a day of Ethereum."""

MOST_CONTRACTS = 5_000
"""Contracts that a call names at most, a tenth of the largest body that the API takes."""

CALLS_BEFORE_A_LARGER_ONE = 100

SMALLEST_PLAN_LIMIT = 10
"""Blocks: no plan is known to allow fewer."""

_SUGGESTED = re.compile(r"\[\s*(0x[0-9a-f]{1,16})\s*,\s*(0x[0-9a-f]{1,16})\s*\]", re.IGNORECASE)
_NAMED = re.compile(r"up to an? ([0-9]{1,6}) block range", re.IGNORECASE)
_TOO_MUCH = re.compile(r"range|blocks|limit|exceed|too (large|wide|many|big)|more than", re.IGNORECASE)
_TOO_MUCH_HERE = re.compile(r"response size|results|sent more than", re.IGNORECASE)


class CallLimit:
    """
    The size that a call may have.

    :param most: The size that is tried first, and never surpassed.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._accepted = 0
        self._refused = most + 1
        self._calls_at_limit = 0
        self._is_probing = False
        self._cap = most

    @property
    def size(self) -> int:
        """The size that the next call may have."""
        return min(self._learnt_size, self._cap)

    @property
    def _learnt_size(self) -> int:
        is_known = self._refused <= self._most
        if self._is_probing:
            # One more tells whether the plan is another one; then there is no telling how much larger it is.
            return self._accepted + 1 if is_known else min(2 * self._accepted, self._most)
        if not is_known:
            return self._most
        if self._refused - self._accepted <= 1:
            return max(self._accepted, 1)
        half = _round_down(self._refused // 2)
        if half > self._accepted:
            return half
        # Most limits are round: where one went through, a single refusal of one more proves it.
        return self._accepted + 1 if _is_round(self._accepted) else (self._accepted + self._refused) // 2

    def accept(self, size: int) -> None:
        """
        Learn that a call went through.

        :param size: Its size.
        """
        self._cap = min(2 * self._cap, self._most)
        if self._is_probing and size > self._accepted:
            # What was refused once is not refused any more: whatever is tried next begins from here.
            self._accepted, self._refused = size, self._most + 1
            self._is_probing = size < self._most
            return
        self._accepted = min(max(self._accepted, size), self._refused - 1)
        is_at_limit = size >= self._accepted and self._refused <= self._most
        self._calls_at_limit += is_at_limit
        if self._calls_at_limit >= CALLS_BEFORE_A_LARGER_ONE:
            self._calls_at_limit, self._is_probing = 0, True

    def refuse(self, size: int, allowed: int | None = None, *, is_for_now: bool = False) -> None:
        """
        Learn that a call was refused.

        :param size: Its size, at least 2.
        :param allowed: The size that the refusal itself names, if it does.
        :param is_for_now: Whether it was refused for what an answer would hold: other calls may be larger.
        """
        if allowed is None or not 0 < allowed < size:
            allowed = None
        if is_for_now:
            self._cap = allowed or size // 2
            return
        self._calls_at_limit = 0
        was_probing, self._is_probing = self._is_probing, False
        if was_probing and self._refused <= self._most:
            return
        if allowed is not None:
            self._accepted, self._refused = allowed, allowed + 1
            return
        self._refused = size
        if self._accepted >= self._refused:
            # It went through before: the plan is another one now.
            self._accepted = self._refused // 2


def _round_down(size: int) -> int:
    """Give the largest of 1, 2, 5, 10, 20, 50, ... that is not larger."""
    power = 10 ** (len(str(size)) - 1)
    return max(power * step for step in (1, 2, 5) if power * step <= size) if size > 0 else 0


def _is_round(size: int) -> bool:
    return size >= SMALLEST_PLAN_LIMIT and size == _round_down(size)


class Refusal(StrEnum):
    """What an error says of the size of the call that it ended."""

    TOO_MUCH = "too_much"
    """The call asked for too much."""

    TOO_MUCH_HERE = "too_much_here"
    """The answer would hold too much, or took too long: of other blocks it may be less."""

    PERHAPS = "perhaps"
    """The service does not like the request and does not say why."""

    NONE = "none"
    """Its size had nothing to do with it."""


def refusal_of(error: AlchemyError) -> Refusal:
    """
    Tell whether a smaller call may go through where this one failed.

    :param error: What went wrong.
    :return: TOO_MUCH and TOO_MUCH_HERE where the API says so, the latter also where it did not make it in time;
        PERHAPS for any other request that it refuses, and for an error that no document names.
    """
    if isinstance(error, AlchemyTimeoutError):
        return Refusal.TOO_MUCH_HERE
    if error.http_status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Refusal.TOO_MUCH
    # Without a status it is a good answer of a wrong form.
    is_unknown = isinstance(error, AlchemyUnexpectedAnswerError) and error.http_status is not None
    if not (is_unknown or isinstance(error, AlchemyRequestError)):
        return Refusal.NONE
    if _TOO_MUCH_HERE.search(error.what):
        return Refusal.TOO_MUCH_HERE
    return Refusal.TOO_MUCH if _TOO_MUCH.search(error.what) else Refusal.PERHAPS


def allowed_blocks(message: str) -> int | None:
    """
    Read the range that a refusal suggests.

    :param message: The API's message.
    :return: Blocks; None where it suggests none.
    """
    suggested = _SUGGESTED.search(message)
    if suggested:
        return int(suggested[2], 16) - int(suggested[1], 16) + 1
    named = _NAMED.search(message)
    return int(named[1]) if named else None


def is_about_contracts(message: str) -> bool:
    """
    Tell whether a refusal complains of the number of contracts, not of blocks.

    :param message: The API's message.
    :return: Whether it does.
    """
    return "address" in message.lower()
