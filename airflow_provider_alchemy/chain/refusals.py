# SPDX-License-Identifier: Apache-2.0
"""What an error says of the call that it ended: that it was too large, or that the node is behind. No I/O."""

from __future__ import annotations

import re
from enum import StrEnum
from http import HTTPStatus

from airflow_provider_alchemy.api.errors import (
    AlchemyBadAnswerError,
    AlchemyConnectionError,
    AlchemyError,
    AlchemyRequestError,
    AlchemyServerError,
    AlchemyTimeoutError,
    AlchemyUnexpectedAnswerError,
)


class Refusal(StrEnum):
    """What an error says of the size of the call that it ended."""

    TOO_MANY = "too_many"
    """More blocks or contracts than a call may ask for, whatever is in them."""

    TOO_MUCH_HERE = "too_much_here"
    """The answer would hold too much, or took too long: of other blocks it may be less."""

    UNCLEAR = "unclear"
    """The service does not answer this call, and does not say why."""

    NONE = "none"
    """The size had nothing to do with it."""


_TOO_MUCH_HERE = re.compile(
    r"response (size|(is )?too (large|big))|\bresults\b|\blogs\b.{0,40}(exceed|returned)|(too many|[0-9k]) logs\b"
    r"|sent more than|timed?[ -]?out|deadline|too long|too (expensive|heavy|complex)",
    re.IGNORECASE,
)
_TOO_MANY = re.compile(r"range|blocks|limit|exceed|too (large|wide|many|big)|more than", re.IGNORECASE)
_ABOUT_BLOCKS = re.compile(r"\b(range|ranges|blocks)\b", re.IGNORECASE)

_NAMED_ENDS = re.compile(
    r"\brange\b[^0-9]{0,40}?\b(0x[0-9a-f]+|[0-9]+)[\s\]]*(?:,|-|to)[\s\[]*(0x[0-9a-f]+|[0-9]+)", re.IGNORECASE
)
_NAMED_COUNTS = (
    re.compile(r"\b([1-9][0-9,]{0,9})(k?)[- ]blocks?\b", re.IGNORECASE),
    re.compile(r"\b(?:ranges?|max(?:imum)?|limit(?:ed)?)\b[^0-9.]{0,60}?\b([1-9][0-9,]{0,9})(k?)\b", re.IGNORECASE),
    re.compile(r"> ?([1-9][0-9,]{0,9})(k?)\b", re.IGNORECASE),
)

_BEHIND = re.compile(
    # beyond current head block, after last accepted block, greater than latest block, end (7) > latestBlock (5)
    r"(\b(beyond|after|past|above|ahead of|exceeds?|(greater|higher|larger|newer|later|less|lower) than)\b|>).{0,40}"
    r"(\bhead|latest|\btip\b|newest|highest|last accepted|current (block|chain|height)|\bsynced|finali[sz]ed)"
    # header not found, block #7 not found, one of the blocks … cannot be found, block … doesn't exist yet
    r"|\b(blocks?|header|height|body|epoch|resource)\b[^.]{0,80}"
    r"(not (found|available|known|exist|imported|synced|indexed)|not yet|cannot be found|doesn't exist|unavailable)"
    r"|(unknown|missing|no such|find|get|load) (the )?(block|header)\b(?! range)"
    r"|\bfuture (block|epoch|height|range)|in the future|\bblock[^.]{0,30} out of range"
    r"|\b(still|currently) syncing|sync(ing)? in progress|not (fully )?synced|\b(node|head|backend)\b.{0,20}\bbehind",
    re.IGNORECASE,
)
_NOT_BEHIND = re.compile(
    r"\bmax|limit|at most|up to|too (large|wide|many|big)|\b(plan|tier|upgrade)\b|prun|archiv|histor|too old|lowest",
    re.IGNORECASE,
)
"""A call that asks for too much, or for blocks that the node has no more."""


def refusal_of(error: AlchemyError) -> Refusal:
    """Whether a smaller call may go through where this one failed."""
    if isinstance(error, AlchemyTimeoutError):
        return Refusal.TOO_MUCH_HERE
    if isinstance(error, AlchemyConnectionError | AlchemyBadAnswerError):
        # A large answer may be what a proxy cuts, and what a node dies of.
        return Refusal.UNCLEAR
    # Without a status it is a good answer of a wrong form.
    if error.http_status is None:
        return Refusal.NONE
    words = error.message
    is_about_blocks = _ABOUT_BLOCKS.search(words) is not None
    is_refused = isinstance(error, AlchemyRequestError | AlchemyUnexpectedAnswerError)
    if is_about_blocks or is_refused or isinstance(error, AlchemyServerError):
        if _TOO_MUCH_HERE.search(words):
            return Refusal.TOO_MUCH_HERE
        is_too_many = is_refused and (
            _TOO_MANY.search(words) or error.http_status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        )
        return Refusal.TOO_MANY if is_about_blocks or is_too_many else Refusal.UNCLEAR
    return Refusal.NONE


def named_blocks(message: str, below: int) -> int | None:
    """Read the range that a refusal names, in blocks; what is not below those of the call is no name of it."""
    for ends in _NAMED_ENDS.finditer(message):
        first, last = (int(end, 16 if end[:2].lower() == "0x" else 10) for end in ends.groups())
        if 0 < (blocks := last - first + (first > 0)) < below:
            return blocks
    # A limit of logs is none of blocks.
    found = [count for pattern in _NAMED_COUNTS for count in pattern.findall(message)]
    counts = [int(digits.replace(",", "")) * (1_000 if thousands else 1) for digits, thousands in found]
    is_named = _ABOUT_BLOCKS.search(message) or "block" in message.lower()
    return max((count for count in counts if is_named and 0 < count < below), default=None)


def is_behind(error: AlchemyError) -> bool:
    """Whether the node does not have a block yet: it is behind the one that named the newest block."""
    words = error.message
    return error.http_status is not None and _BEHIND.search(words) is not None and not _NOT_BEHIND.search(words)
