# SPDX-License-Identifier: Apache-2.0
"""Checks of what a test author, or a caller of the control interface, gives to the emulator.

A mistyped switch must fail where it is given, with a sentence that names the field: a fault that silently
never fires makes a test pass for the wrong reason. Each configuration class keeps one table from field to
check.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Mapping
from enum import StrEnum
from math import inf, isfinite
from typing import Any

Check = Callable[[str, Any], Any]

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def is_address(text: str | None) -> bool:
    """Tell whether a text has the form of a contract address: 0x and 40 hex digits, in any case."""
    return text is not None and _ADDRESS.fullmatch(text) is not None


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


def whole(minimum: int = 0) -> Check:
    """Accept a whole number of at least ``minimum``."""
    in_range = number(minimum)

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


def address(field: str, value: Any) -> str:
    """Accept a contract address, and give it back in lower case: addresses are compared without case."""
    if not isinstance(value, str) or not is_address(value):
        msg = f"{field} must be 0x and 40 hex digits, not {value!r}"
        raise ValueError(msg)
    return value.lower()


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
