# SPDX-License-Identifier: Apache-2.0
"""Lists in arguments, as a person, a template or another task wrote them. No I/O."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_alchemy.api.errors import AlchemyArgumentError

_SHOWN_CHARACTERS = 100
_SEPARATORS = re.compile(r"[\s,;]+")


def read_items(value: Any, argument: str, expected: str) -> list[Any]:
    """
    Take a list apart, whatever form it has; the items themselves are not checked.

    :param value: A list or any other iterable, or a text: a JSON or Python list, or separated by commas or spaces. What
        another task returned, a dict, is taken where it has the list under the argument's own name.
    :param argument: The argument's name, for the error.
    :param expected: What it should be, for the error.
    :return: The items.
    :raises AlchemyArgumentError: The value is no list.
    """
    if isinstance(value, str):
        return _read_text(value.strip(), argument, expected)
    if isinstance(value, Mapping) and argument in value:
        return read_items(value[argument], argument, expected)
    if isinstance(value, bytes | bytearray | Mapping) or not isinstance(value, Iterable):
        msg = f"argument {argument!r} is {shown(value)} and no list; {expected}"
        raise AlchemyArgumentError(msg, advice=_advice(value))
    return list(value)


def _read_text(text: str, argument: str, expected: str) -> list[Any]:
    if not text:
        msg = f"argument {argument!r} is empty, or its template rendered to nothing; {expected}"
        raise AlchemyArgumentError(msg)
    if text[0] not in "[({":
        return [part for part in _SEPARATORS.split(text) if part]
    try:
        return read_items(_read_literal(text), argument, expected)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        pass
    msg = f"argument {argument!r} is {shown(text)}, which begins like a list but is none; {expected}"
    raise AlchemyArgumentError(msg)


def _read_literal(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        # What Jinja makes of a list.
        return ast.literal_eval(text)


def _advice(value: Any) -> str:
    if value is None:
        return "Check the task whose XCom this is: one that was skipped or pushed nothing leaves None"
    if isinstance(value, Mapping):
        return "Take the key that holds the list, such as task.output['finished']"
    return ""


class Shortened:
    """An item that is no text, as an error shows it: it may be a list of thousands."""

    def __init__(self, item: Any) -> None:
        self._item = item

    def __repr__(self) -> str:
        return shown(self._item)


def shown(value: Any) -> str:
    """
    Show a value in an error.

    :param value: The value.
    :return: It, or its first characters.
    """
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # Python writes no int of more than 4,300 digits, and no list that is nested too deep.
        return "too large to show"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
