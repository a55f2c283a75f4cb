# SPDX-License-Identifier: Apache-2.0
"""Checks of what a test gives to the emulator, derived from the types of parameters and fields.

A mistyped switch must fail where it is given, with a ``ValueError`` that names it: a fault that silently never fires
makes a test pass for the wrong reason.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from typing import Annotated, Any, ParamSpec, TypeVar, cast, dataclass_transform

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, validate_call
from pydantic.dataclasses import dataclass

P = ParamSpec("P")
T = TypeVar("T")

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_TOKEN_ID = re.compile(r"0x[0-9a-fA-F]{1,64}|[0-9]{1,78}")
_LAST_MOMENT = 253_402_300_000.0  # in the year 9999: no answer could write a later one
_STRICT = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")


def is_address(value: object) -> bool:
    return isinstance(value, str) and _ADDRESS.fullmatch(value) is not None


def read_token_id(value: object) -> int | None:
    """Read a whole number, or its decimal or 0x-hexadecimal text; None where it is none of them."""
    if isinstance(value, str) and _TOKEN_ID.fullmatch(value):
        value = int(value, 16) if value.startswith("0x") else int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**256 else None


def _lower_address(value: object) -> str:
    if not is_address(value):
        msg = "must be 0x and 40 hex digits"
        raise ValueError(msg)
    return str(value).lower()


def _token_id(value: object) -> int:
    if (token_id := read_token_id(value)) is None:
        msg = "must be a token's id from 0 to 2**256 - 1, a number or its decimal or 0x-hexadecimal text"
        raise ValueError(msg)
    return token_id


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str | Mapping) else value


def _seconds_since_epoch(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        msg = "must be seconds since the epoch or an ISO 8601 time"
        raise ValueError(msg) from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
AtLeastOne = Annotated[int, Field(ge=1)]
Line = Annotated[str, Field(pattern=r"^[^\r\n\x00]*$")]
Moment = Annotated[float, BeforeValidator(_seconds_since_epoch), Field(ge=0, le=_LAST_MOMENT)]
"""Seconds since the epoch, or an ISO 8601 time (UTC where it names no zone); checked, it is the seconds."""

Address = Annotated[str, PlainValidator(_lower_address)]
"""A contract address in any case; checked, it is in lower case, because addresses are compared without case."""

TokenId = Annotated[Any, PlainValidator(_token_id)]
"""A token's id in any form; checked, it is a number."""

TokenIds = Annotated[Sequence[TokenId], BeforeValidator(_as_tuple)]


@contextmanager
def _naming(owner: Callable[..., object]) -> Iterator[None]:
    """Turn pydantic's account of wrong arguments into a ``ValueError`` with one sentence."""
    try:
        yield
    except ValidationError as error:
        names, first = [*inspect.signature(owner).parameters], error.errors(include_url=False)[0]
        place, kind = (*first["loc"], "")[0], first["type"]
        name = names[place] if isinstance(place, int) else place
        if kind == "unexpected_keyword_argument":
            msg = f"{name} is not a field here; there are: {', '.join(one for one in names if one != 'self')}"
        elif kind.startswith("missing"):
            msg = f"{name} is missing"
        else:
            msg = re.sub(r"^\w+ should", "must", first["msg"].removeprefix("Value error, "))
            msg = f"{name} {msg}, not {first['input']!r}" if name else msg
        raise ValueError(msg) from None


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Check the arguments of each call against the function's types, and put in their places what they stand for."""
    validated = validate_call(config=_STRICT)(function)

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with _naming(function):
            return validated(*args, **kwargs)

    return run


@dataclass_transform(frozen_default=True, kw_only_default=True)
def checked_dataclass(kind: type[T]) -> type[T]:
    """Make a frozen dataclass whose fields are checked against their types."""
    made: Any = dataclass(frozen=True, kw_only=True, config=_STRICT)(kind)
    build = made.__init__

    @wraps(build)
    def run(instance: T, /, *args: Any, **kwargs: Any) -> None:
        with _naming(made):
            build(instance, *args, **kwargs)

    made.__init__ = run
    return cast("type[T]", made)
