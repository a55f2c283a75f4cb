# SPDX-License-Identifier: Apache-2.0
"""What may stand in the arguments of a wait for new tokens, as a person or another task wrote it. No I/O."""

from __future__ import annotations

from typing import Any

from pendulum import DateTime

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.api.inputs import NOTHING, read_aware, read_block, shown

SINCE_BLOCK, SINCE = "since_block", "since"

_MOST_DIGITS = 30
_BLOCK_ADVICE = (
    "Write the number of a block: an int, a text of decimal or hexadecimal digits, or the XCom 'next_block' of an "
    "earlier sensor"
)
_MOMENT_ADVICE = (
    "Write a moment with its time zone: '{{ dag_run.start_date }}', an ISO 8601 text such as "
    "'2026-11-22T10:00:00+00:00', or an aware datetime; or name the block with since_block"
)


def read_since_block(value: Any) -> int:
    """
    Read the number of the first block that counts.

    :param value: An int, or a text of decimal or hexadecimal digits.
    :return: The number.
    :raises AlchemyArgumentError: It is something else.
    """
    number = _read_number(value.strip()) if isinstance(value, str) else value
    try:
        block = read_block(number, SINCE_BLOCK)
    except AlchemyArgumentError:
        block = None
    if block is None:
        is_nothing = value is None or (isinstance(value, str) and value.strip().lower() in NOTHING)
        problem = "is empty, or its template rendered to nothing" if is_nothing else f"is {shown(value)}"
        msg = f"argument {SINCE_BLOCK!r} {problem}; expected the number of a block"
        raise AlchemyArgumentError(msg, advice=_BLOCK_ADVICE)
    return block


def read_since(value: Any) -> DateTime:
    """
    Read the moment from which on mints count. It may be still to come.

    :param value: An aware datetime, or a text in ISO 8601 with a time zone.
    :return: The moment, in UTC.
    :raises AlchemyArgumentError: It is something else.
    """
    return read_aware(value, SINCE, _MOMENT_ADVICE)


def read_min_tokens(value: Any) -> int:
    """
    Read how many tokens are waited for.

    :param value: A whole number from 1.
    :return: The number.
    :raises AlchemyArgumentError: It is something else.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"argument 'min_tokens' is {shown(value)}; expected a whole number of tokens from 1"
        raise AlchemyArgumentError(msg)
    return value


def _read_number(text: str) -> int | None:
    digits = text[2:] if text[:2] in {"0x", "0X"} else text
    if not digits.isascii() or not digits.isalnum() or len(digits) > _MOST_DIGITS:
        return None
    try:
        return int(digits, 10 if digits is text else 16)
    except ValueError:
        return None
