# SPDX-License-Identifier: Apache-2.0
"""
Checks of what people, templates and other tasks write into arguments. No I/O.

All of a list is checked before the first call is made: one wrong address among thousands must show at once and with its
position, not after a night of polling.
"""

from __future__ import annotations

import ast
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, NoReturn, TypeVar

import pendulum
from pendulum import UTC, DateTime

from airflow_provider_alchemy.api.errors import AlchemyAddressError, AlchemyArgumentError, AlchemyTokenIdError
from airflow_provider_alchemy.api.packing import digest_of
from airflow_provider_alchemy.defaults import DEFAULT_NETWORK

T = TypeVar("T")

MAX_CONTRACTS = 10_000
"""As many as one event loop was measured to poll for beside everything else that a triggerer does."""

MAX_TOKEN_ID = 2**256 - 1
"""Token ids are a uint256 (ERC-721, ERC-1155)."""

MAX_CLOCK_AHEAD = timedelta(minutes=5)
"""How far ahead a moment may be: the clocks of a worker, of the machine that wrote it and of Alchemy differ by less,
and what lies beyond is a mistake that would only show when the wait's time is over."""

MAX_LABEL_LENGTH = 63
"""Characters of one part of a host name (RFC 1035, section 2.3.4)."""

NOTHING = frozenset({"", "none", "null"})
"""What a template renders to where what it names is not there."""

CONTRACTS_ARGUMENT, TOKENS_ARGUMENT, FRESH_SINCE = "contract_addresses", "token_ids", "fresh_since"
_LIST_FORMS = "or a text of them: a JSON or Python list, or separated by commas or spaces"
CONTRACTS_EXPECTED = f"expected a list of contract addresses, {_LIST_FORMS}"
TOKENS_EXPECTED = f"expected a list of token ids, {_LIST_FORMS}"
_MOMENT_ADVICE = (
    "Write a moment with its time zone: '{{ dag_run.start_date }}', the XCom 'submitted_at' of the task that "
    "refreshed, an ISO 8601 text such as '2026-11-22T10:00:00+00:00', or an aware datetime"
)

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_NETWORK = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_DECIMAL = re.compile(r"[0-9]+")
_HEX = re.compile(r"0[xX][0-9a-fA-F]+")
_MAX_DIGITS = 100
_SEPARATORS = re.compile(r"[\s,;]+")
_SHOWN_CHARACTERS = 100


def shown(value: Any) -> str:
    """Show a value in an error: it, or its first characters."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        # Python writes no int of more than 4,300 digits, and no list that is nested too deep.
        return "too large to show"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def read_contract_address(value: Any, argument: str = "contract_address") -> str:
    """Check a contract address; give it in lower case. Mixed case must pass the checksum of EIP-55."""
    expected = "expected 0x and 40 hexadecimal digits, such as 0xE9FCa552b9eb110c2d170962aF740725F71F5644"
    if not isinstance(value, str):
        msg = f"argument {argument!r} is {shown(value)} and no text; {expected}"
        raise AlchemyAddressError(msg)
    text = value.strip()
    if not text:
        msg = f"argument {argument!r} is empty, or its template rendered to nothing; {expected}"
        raise AlchemyAddressError(msg)
    if not _ADDRESS.fullmatch(text):
        msg = f"argument {argument!r} is {text[:100]!r}, which is no contract address; {expected}"
        raise AlchemyAddressError(msg)
    digits = text[2:]
    if digits not in {digits.lower(), digits.upper()} and not _is_checksum_address(text):
        msg = (
            f"argument {argument!r} is {text!r}, whose capital letters do not match its EIP-55 checksum: at least "
            "one character is wrong"
        )
        raise AlchemyAddressError(msg, advice="Copy the address again; all in lower case it is not checked")
    return text.lower()


def _is_checksum_address(text: str) -> bool:
    """Whether the capital letters of an address are right: EIP-55, https://eips.ethereum.org/EIPS/eip-55."""
    # Most addresses are in lower case, and every DAG file with any asset at all loads this module.
    from Crypto.Hash import keccak  # noqa: PLC0415

    digits = text[2:]
    digest = keccak.new(digest_bits=256, data=digits.lower().encode()).hexdigest()
    return all(
        not digit.isalpha() or digit.isupper() == (nibble in "89abcdef")
        for digit, nibble in zip(digits, digest, strict=False)
    )


def read_connection_id(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        is_blank = isinstance(value, str)
        problem = "is empty, or its template rendered to nothing" if is_blank else f"is {value!r}"
        msg = f"argument 'alchemy_conn_id' {problem}; expected the id of a connection of type Alchemy"
        raise AlchemyArgumentError(msg)
    return value.strip()


def read_network(value: Any, field: str = "argument 'network'") -> str:
    """Check a network's slug. It becomes part of a host name; whether the network exists is for the service to say."""
    text = value.strip() if isinstance(value, str) else value
    if not isinstance(text, str) or not _NETWORK.fullmatch(text) or len(text) > MAX_LABEL_LENGTH:
        problem = "is empty, or its template rendered to nothing" if text == "" else f"is {value!r}"
        msg = f"{field} {problem}; expected a network's slug in lower case, such as {DEFAULT_NETWORK}"
        raise AlchemyArgumentError(msg)
    return text


def read_token_id(value: Any, argument: str = "token_id") -> int:
    """Check a token id: an int, or a text of decimal or of 0x and hexadecimal digits."""
    text = value.strip() if isinstance(value, str) else value
    number = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(text, str) and len(text) <= _MAX_DIGITS:
        number = int(text) if _DECIMAL.fullmatch(text) else int(text, 16) if _HEX.fullmatch(text) else None
    if number is not None and 0 <= number <= MAX_TOKEN_ID:
        return number
    problem = "empty" if text == "" else shown(value)
    msg = (
        f"argument {argument!r} is {problem}, which is no token id; expected a whole number from 0 to 2^256 - 1: "
        "an int, or a text of decimal digits or of 0x and hexadecimal digits"
    )
    raise AlchemyTokenIdError(msg)


def read_fresh_since(value: Any) -> DateTime:
    """Check the moment that metadata has to be newer than; see ``read_aware``."""
    return read_aware(value, FRESH_SINCE, _MOMENT_ADVICE)


def read_aware(value: Any, argument: str, advice: str) -> DateTime:
    """Check a moment, an aware datetime or a text in ISO 8601 with a time zone; give it in UTC."""
    if isinstance(value, str) and value.strip().lower() in NOTHING:
        _refuse_moment(argument, "is empty, or its template rendered to nothing", advice)
    moment: Any = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            moment = None
    if not isinstance(moment, datetime):
        _refuse_moment(argument, f"is {shown(value)}, which is no moment", advice)
    text = shown(value if isinstance(value, str) else value.isoformat())
    if moment.utcoffset() is None:
        _refuse_moment(argument, f"is {text}, which has no time zone: it could be any of 27 hours", advice)
    try:
        # By the moment's own rules of its zone, which pendulum may know otherwise.
        return pendulum.instance(moment.astimezone(UTC))
    except OverflowError:
        _refuse_moment(argument, f"is {text}, which is beyond the calendar", advice)


def check_not_ahead(moment: datetime, now: datetime) -> None:
    """Refuse a ``fresh_since`` that is still to come by this machine's clock."""
    if moment <= now + MAX_CLOCK_AHEAD:
        return
    ahead = pendulum.duration(seconds=int((moment - now).total_seconds())).in_words(locale="en")
    problem = f"is {moment.isoformat()}, {ahead} in the future: no metadata can be newer than that yet"
    _refuse_moment(FRESH_SINCE, problem, _MOMENT_ADVICE)


def _refuse_moment(argument: str, problem: str, advice: str) -> NoReturn:
    msg = f"argument {argument!r} {problem}"
    raise AlchemyArgumentError(msg, advice=advice)


def read_items(value: Any, argument: str, expected: str) -> list[Any]:
    """
    Take a list apart, whatever form it has; the items themselves are not checked.

    It may be a list or any other iterable, or a text: a JSON or Python list, or separated by commas or spaces. What
    another task returned, a dict, is taken where it has the list under the argument's own name.
    """
    if isinstance(value, str):
        return _split(value.strip(), argument, expected)
    if isinstance(value, Mapping) and argument in value:
        return read_items(value[argument], argument, expected)
    if isinstance(value, bytes | bytearray | Mapping) or not isinstance(value, Iterable):
        advice = ""
        if value is None:
            advice = "Check the task whose XCom this is: one that was skipped or pushed nothing leaves None"
        elif isinstance(value, Mapping):
            advice = "Take the key that holds the list, such as task.output['finished']"
        msg = f"argument {argument!r} is {shown(value)} and no list; {expected}"
        raise AlchemyArgumentError(msg, advice=advice)
    return list(value)


def _split(text: str, argument: str, expected: str) -> list[Any]:
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


def _read_each(
    items: list[Any], argument: str, things: str, read: Callable[[Any, str], T], is_unknown: Callable[[Any], bool]
) -> tuple[tuple[T, ...], int]:
    """Read all items; give each value once, in order, and how many more there were. Raise for the first wrong one."""
    values: dict[T, None] = {}
    known = wrong = 0
    first: AlchemyArgumentError | None = None
    for position, item in enumerate(items):
        if is_unknown(item):
            continue
        place = f"{argument}[{position}] (number {position + 1:,} of {len(items):,})"
        try:
            values[read(item, place)] = None
            known += 1
        except AlchemyArgumentError as error:
            error.what = error.what.replace(f"argument {place!r}", place, 1)
            first = first or error
            wrong += 1
    if first is None:
        return tuple(values), known - len(values)
    if wrong > 1:
        first.what += f"; {wrong - 1:,} more of the {things} cannot be right either"
    raise first


def _is_known(_: Any) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class ContractList:
    """Contracts, each once and in the order in which they were first named, and how many were named again."""

    addresses: tuple[str, ...]
    duplicates: int = 0

    def digest(self, network: str) -> str:
        """Identify this list, also in another process: positions in it mean the same only there."""
        return hashlib.sha256("\n".join((network, *self.addresses)).encode()).hexdigest()


def read_contracts(value: Any, is_unknown: Callable[[Any], bool] = _is_known) -> ContractList:
    """Check the contracts of a task; items that get their value only later (``is_unknown``) are left out."""
    items = read_items(value, CONTRACTS_ARGUMENT, CONTRACTS_EXPECTED)
    if not items:
        msg = f"argument {CONTRACTS_ARGUMENT!r} names no contract: the list is empty; {CONTRACTS_EXPECTED}"
        raise AlchemyArgumentError(msg)
    # Before the checksums, which take a while: it may be a list of tokens.
    different = len({item.strip().lower() for item in items if isinstance(item, str)})
    if different > MAX_CONTRACTS:
        msg = (
            f"argument {CONTRACTS_ARGUMENT!r} names {different:,} different contracts; a task takes "
            f"{MAX_CONTRACTS:,} at most"
        )
        raise AlchemyArgumentError(msg, advice="Split the list into several tasks, for example with expand()")
    return ContractList(*_read_each(items, CONTRACTS_ARGUMENT, "addresses", read_contract_address, is_unknown))


@dataclass(frozen=True, slots=True)
class TokenList:
    """Tokens, each once and in the order in which they were first named, and how many were named again."""

    ids: tuple[int, ...]
    duplicates: int = 0

    def digest(self) -> str:
        """Identify this list, also in another process: positions in it mean the same only there."""
        return digest_of(self.ids)


def read_token_ids(value: Any, is_unknown: Callable[[Any], bool] = _is_known) -> TokenList:
    """Check the tokens of a task; an empty list is one: nothing was minted."""
    items = read_items(value, TOKENS_ARGUMENT, TOKENS_EXPECTED)
    return TokenList(*_read_each(items, TOKENS_ARGUMENT, "ids", read_token_id, is_unknown))


def allowed_failures(max_failed: float, total: int) -> int:
    """Give how many of several may fail: an int is their number, a float from 0 to 1 their share."""
    # As the decimal that the user wrote: 0.29 of 100 is 29, which the product of two floats is not.
    return max_failed if isinstance(max_failed, int) else math.floor(Fraction(str(max_failed)) * total)


MAX_BLOCK = 2**53
"""Beyond it, not every JSON reader takes a number as it is."""


def _read_number_of_blocks(value: Any, argument: str, expected: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_BLOCK:
        msg = f"argument {argument!r} is {shown(value)}; expected {expected}"
        raise AlchemyArgumentError(msg)
    return value


def read_block(value: Any, argument: str) -> int | None:
    """Check a block's number; None: not given."""
    return None if value is None else _read_number_of_blocks(value, argument, "the number of a block")


def read_confirmations(value: Any) -> int:
    return _read_number_of_blocks(value, "confirmations", "a whole number of blocks from 0")


SINCE_BLOCK, SINCE = "since_block", "since"

_MAX_BLOCK_DIGITS = 30
_BLOCK_ADVICE = (
    "Write the number of a block: an int, a text of decimal or hexadecimal digits, or the XCom 'next_block' of an "
    "earlier sensor"
)
_SINCE_ADVICE = (
    "Write a moment with its time zone: '{{ dag_run.start_date }}', an ISO 8601 text such as "
    "'2026-11-22T10:00:00+00:00', or an aware datetime; or name the block with since_block"
)


def read_since_block(value: Any) -> int:
    number = _read_block_text(value.strip()) if isinstance(value, str) else value
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
    """Read the moment from which on mints count. It may be still to come."""
    return read_aware(value, SINCE, _SINCE_ADVICE)


def read_min_tokens(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"argument 'min_tokens' is {shown(value)}; expected a whole number of tokens from 1"
        raise AlchemyArgumentError(msg)
    return value


def _read_block_text(text: str) -> int | None:
    digits = text[2:] if text[:2] in {"0x", "0X"} else text
    if not digits.isascii() or not digits.isalnum() or len(digits) > _MAX_BLOCK_DIGITS:
        return None
    try:
        return int(digits, 10 if digits is text else 16)
    except ValueError:
        return None
