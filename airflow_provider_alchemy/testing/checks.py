# SPDX-License-Identifier: Apache-2.0
"""Checks of what a test author, or a caller of the control interface, gives to the emulator.

A mistyped switch must fail where it is given, with a sentence that names the field: a fault that silently
never fires makes a test pass for the wrong reason. Each configuration class keeps one table from field to
check.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from math import inf, isfinite
from typing import Any

Check = Callable[[str, Any], Any]

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_TOKEN_ID = re.compile(r"0x[0-9a-fA-F]{1,64}|[0-9]{1,78}")
_TOKEN_IDS_END = 2**256
_LAST_MOMENT = 253_402_300_000.0  # in the year 9999: no answer could write a later one


def is_address(text: str | None) -> bool:
    """Tell whether a text has the form of a contract address: 0x and 40 hex digits, in any case."""
    return text is not None and _ADDRESS.fullmatch(text) is not None


def read_token_id(value: object) -> int | None:
    """Read a token's id: a whole number, or its decimal or 0x-hexadecimal text; None where it is none of them."""
    if isinstance(value, str):
        if _TOKEN_ID.fullmatch(value) is None:
            return None
        value = int(value, 16) if value.startswith("0x") else int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _TOKEN_IDS_END:
        return None
    return value


def number(minimum: float = 0.0, maximum: float = inf, *, above: bool = False) -> Check:
    """Accept a finite number from ``minimum`` (left out itself when ``above``) to ``maximum``."""

    def check(field: str, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            msg = f"{field} must be a number, not {value!r}"
            raise ValueError(msg)
        if not minimum <= value <= maximum or (above and value == minimum):
            lower = f"above {minimum:g}" if above else f"at least {minimum:g}"
            upper = "" if maximum == inf else f" and at most {maximum:g}"
            msg = f"{field} must be {lower}{upper}, not {value!r}"
            raise ValueError(msg)
        return value

    return check


def whole(minimum: int = 0, maximum: float = inf) -> Check:
    """Accept a whole number from ``minimum`` to ``maximum``."""
    in_range = number(minimum, maximum)

    def check(field: str, value: Any) -> int:
        if in_range(field, value) != int(value):
            msg = f"{field} must be a whole number, not {value!r}"
            raise ValueError(msg)
        return int(value)

    return check


def one_of(choices: Collection[object]) -> Check:
    """Accept one of some values; of an enum's members, their text too, and give back the member."""

    def check(field: str, value: Any) -> Any:
        for choice in choices:
            if value == choice and not isinstance(value, bool):
                return choice
        names = ", ".join(str(choice) for choice in choices)
        msg = f"{field} must be one of {names}, not {value!r}"
        raise ValueError(msg)

    return check


def member(kind: type[StrEnum]) -> Check:
    """Accept a member of an enum, or its text."""
    return one_of(tuple(kind))


def flag(field: str, value: Any) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        msg = f"{field} must be true or false, not {value!r}"
        raise ValueError(msg)  # noqa: TRY004 -- one kind of error for every wrong value
    return value


def text(field: str, value: Any) -> str:
    """Accept a text."""
    if not isinstance(value, str):
        msg = f"{field} must be a text, not {value!r}"
        raise ValueError(msg)  # noqa: TRY004 -- one kind of error for every wrong value
    return value


def texts(field: str, value: Any) -> tuple[str, ...]:
    """Accept several texts."""
    if not isinstance(value, Iterable) or isinstance(value, str | Mapping):
        msg = f"{field} must be a sequence of texts, not {value!r}"
        raise ValueError(msg)  # noqa: TRY004 -- one kind of error for every wrong value
    return tuple(text(field, one) for one in value)


def address(field: str, value: Any) -> str:
    """Accept a contract address, and give it back in lower case: addresses are compared without case."""
    if not isinstance(value, str) or not is_address(value):
        msg = f"{field} must be 0x and 40 hex digits, not {value!r}"
        raise ValueError(msg)
    return value.lower()


def token_id(field: str, value: Any) -> int:
    """Accept a token's id, as a number or as its decimal or 0x-hexadecimal text, and give back the number."""
    found = read_token_id(value)
    if found is None:
        msg = f"{field} must be a token's id from 0 to 2**256 - 1, a number or a text, not {value!r}"
        raise ValueError(msg)
    return found


def token_ids(field: str, value: Any) -> tuple[int, ...]:
    """Accept several tokens' ids, each as :func:`token_id` does."""
    if not isinstance(value, Iterable) or isinstance(value, str | Mapping):
        msg = f"{field} must be a sequence of tokens' ids, not {value!r}"
        raise ValueError(msg)  # noqa: TRY004 -- one kind of error for every wrong value
    return tuple(token_id(field, one) for one in value)


def moment(field: str, value: Any) -> float:
    """Accept seconds since the epoch or an ISO 8601 time (UTC where it names no zone), and give back the seconds."""
    if not isinstance(value, str):
        return float(number(0, _LAST_MOMENT)(field, value))
    try:
        time = datetime.fromisoformat(value)
    except ValueError as error:
        msg = f"{field} must be seconds since the epoch or an ISO 8601 time, not {value!r}"
        raise ValueError(msg) from error
    seconds = (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    return float(number(0, _LAST_MOMENT)(field, seconds))


def mapping(field: str, value: Any) -> dict[str, Any]:
    """Accept a mapping whose keys are texts."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        msg = f"{field} must be an object with texts as keys, not {value!r}"
        raise ValueError(msg)
    return dict(value)


def header_texts(field: str, value: Any) -> dict[str, str]:
    """Accept a mapping of header names to texts that fit in one header line."""
    headers = mapping(field, value)
    for name, content in headers.items():
        if not isinstance(content, str) or re.search(r"[\r\n\0]", name + content):
            msg = f"{field} must map header names to texts of one line; {name!r} does not"
            raise ValueError(msg)
    return headers


def optional(check: Check) -> Check:
    """Accept None besides what ``check`` accepts."""
    return lambda field, value: None if value is None else check(field, value)


def apply_checks(instance: object, checks: Mapping[str, Check]) -> None:
    """Check each field of a new frozen dataclass and put the checked value in its place.

    :param instance: the dataclass instance, from its ``__post_init__``.
    :param checks: the check of each field.
    :raises ValueError: a value that is not accepted; the message names the field.
    """
    for field, check in checks.items():
        object.__setattr__(instance, field, check(field, getattr(instance, field)))


def refuse_unknown(kind: type, given: Collection[str]) -> None:
    """Refuse field names that a dataclass does not have.

    :param kind: the dataclass.
    :param given: the names that somebody gave.
    :raises ValueError: a name that is not a field; the message lists those that are.
    """
    known = [field.name for field in dataclasses.fields(kind)]
    for name in given:
        if name not in known:
            msg = f"{name} is not a field here; there are: {', '.join(known)}"
            raise ValueError(msg)
