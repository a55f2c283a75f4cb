# SPDX-License-Identifier: Apache-2.0
"""Checks of what people, templates and other tasks write into arguments. No I/O."""

from __future__ import annotations

import ast
import base64
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any, NoReturn

import pendulum
from eth_utils.address import is_checksum_address
from pendulum import UTC, DateTime

from airflow_provider_alchemy.api.errors import (
    AlchemyAddressError,
    AlchemyArgumentError,
    AlchemyTokenIdError,
)
from airflow_provider_alchemy.api.models import DEFAULT_NETWORK

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
        return _read_list_text(value.strip(), argument, expected)
    if isinstance(value, Mapping) and argument in value:
        return read_items(value[argument], argument, expected)
    if isinstance(value, bytes | bytearray | Mapping) or not isinstance(value, Iterable):
        msg = f"argument {argument!r} is {shown(value)} and no list; {expected}"
        raise AlchemyArgumentError(msg, advice=_advice(value))
    return list(value)


def _read_list_text(text: str, argument: str, expected: str) -> list[Any]:
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


LONGEST_LABEL = 63
"""A part of a host name has no more characters (RFC 1035, section 2.3.4)."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_NETWORK = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def read_contract_address(value: Any, argument: str = "contract_address") -> str:
    """
    Check a contract address before anything is sent.

    Mixed case must pass the checksum of EIP-55, which catches a wrong letter before it costs units.

    :param value: The address as a person or a template wrote it.
    :param argument: The argument's name, for the error.
    :return: The address in lower case: addresses are compared without case.
    :raises AlchemyAddressError: The value is no address, or fails its checksum.
    """
    expected = "expected 0x and 40 hexadecimal digits, such as 0xE9FCa552b9eb110c2d170962aF740725F71F5644"
    if not isinstance(value, str):
        msg = f"argument {argument!r} is {value!r} and no text; {expected}"
        raise AlchemyAddressError(msg)
    text = value.strip()
    if not text:
        msg = f"argument {argument!r} is empty, or its template rendered to nothing; {expected}"
        raise AlchemyAddressError(msg)
    if not _ADDRESS.fullmatch(text):
        msg = f"argument {argument!r} is {text[:100]!r}, which is no contract address; {expected}"
        raise AlchemyAddressError(msg)
    digits = text[2:]
    if digits not in {digits.lower(), digits.upper()} and not is_checksum_address(text):
        msg = (
            f"argument {argument!r} is {text!r}, whose capital letters do not match its EIP-55 checksum: at least "
            "one character is wrong"
        )
        raise AlchemyAddressError(msg, advice="Copy the address again; all in lower case it is not checked")
    return text.lower()


def read_network(value: Any, field: str = "argument 'network'") -> str:
    """
    Check a network's slug. It becomes part of a host name, so nothing else may slip in.

    :param value: The slug as a person or a template wrote it.
    :param field: What holds it, for the error.
    :return: The slug.
    :raises AlchemyArgumentError: The value cannot be a slug. Whether the network exists is for the service to say.
    """
    text = value.strip() if isinstance(value, str) else value
    if not isinstance(text, str) or not _NETWORK.fullmatch(text) or len(text) > LONGEST_LABEL:
        problem = "is empty, or its template rendered to nothing" if text == "" else f"is {value!r}"
        msg = f"{field} {problem}; expected a network's slug in lower case, such as {DEFAULT_NETWORK}"
        raise AlchemyArgumentError(msg)
    return text


LARGEST_TOKEN_ID = 2**256 - 1
"""Token ids are a uint256 (ERC-721, ERC-1155)."""

_DECIMAL = re.compile(r"[0-9]+")
_HEX = re.compile(r"0[xX][0-9a-fA-F]+")
_MOST_DIGITS = 100


def read_token_id(value: Any, argument: str = "token_id") -> int:
    """
    Check a token id before anything is sent.

    :param value: An int, or a text of decimal or of 0x and hexadecimal digits.
    :param argument: The argument's name, for the error.
    :return: The id.
    :raises AlchemyTokenIdError: The value is no token id.
    """
    text = value.strip() if isinstance(value, str) else value
    number = None
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(text, str) and len(text) <= _MOST_DIGITS:
        number = int(text) if _DECIMAL.fullmatch(text) else int(text, 16) if _HEX.fullmatch(text) else None
    if number is not None and 0 <= number <= LARGEST_TOKEN_ID:
        return number
    problem = "empty" if text == "" else shown(value)
    msg = (
        f"argument {argument!r} is {problem}, which is no token id; expected a whole number from 0 to 2^256 - 1: "
        "an int, or a text of decimal digits or of 0x and hexadecimal digits"
    )
    raise AlchemyTokenIdError(msg)


MOST_CONTRACTS = 10_000
"""As many as one event loop was measured to poll for beside everything else that a triggerer does."""

CONTRACTS_ARGUMENT = "contract_addresses"

_ADDRESS_BYTES = 20
CONTRACTS_EXPECTED = (
    "expected a list of contract addresses, or a text of them: a JSON or Python list, or separated by commas or spaces"
)


@dataclass(frozen=True, slots=True)
class ContractList:
    """
    The contracts of a batch.

    :param addresses: Each contract once, in lower case and in the order in which they were first named.
    :param duplicates: How many more were named, again or in another letter case.
    """

    addresses: tuple[str, ...]
    duplicates: int = 0

    def digest(self, network: str) -> str:
        """
        Tell this list from any other, also in another process: positions in it mean the same only there.

        :param network: The network's slug.
        :return: A hash.
        """
        return hashlib.sha256("\n".join((network, *self.addresses)).encode()).hexdigest()


def read_contracts(value: Any, is_unknown: Callable[[Any], bool] = lambda _: False) -> ContractList:
    """
    Check the contracts of a batch before anything is sent.

    :param value: A list or any other iterable of addresses, or a text of them.
    :param is_unknown: Tells which items get their value only later; they are left out. Default: none.
    :return: The contracts.
    :raises AlchemyArgumentError: There is none, there are too many, or the value is no list.
    :raises AlchemyAddressError: One is no address, or fails its checksum; the text names the first with its position.
    """
    items = read_items(value, CONTRACTS_ARGUMENT, CONTRACTS_EXPECTED)
    if not items:
        msg = f"argument {CONTRACTS_ARGUMENT!r} names no contract: the list is empty; {CONTRACTS_EXPECTED}"
        raise AlchemyArgumentError(msg)
    # Before the checksums, which take a while: somebody may have passed a list of tokens.
    different = len({item.strip().lower() for item in items if isinstance(item, str)})
    if different > MOST_CONTRACTS:
        msg = (
            f"argument {CONTRACTS_ARGUMENT!r} names {different:,} different contracts; a task takes "
            f"{MOST_CONTRACTS:,} at most"
        )
        raise AlchemyArgumentError(msg, advice="Split the list into several tasks, for example with expand()")
    named = _read_addresses(items, is_unknown)
    addresses = tuple(dict.fromkeys(named))
    return ContractList(addresses, len(named) - len(addresses))


def pack_addresses(addresses: Iterable[str]) -> str:
    """
    Write addresses as a short text: Airflow keeps them several times while a task is deferred.

    :param addresses: The addresses, checked.
    :return: Base64, 27 characters an address.
    """
    return base64.b64encode(b"".join(bytes.fromhex(address[2:]) for address in addresses)).decode()


def unpack_addresses(text: str) -> tuple[str, ...]:
    """
    Read what ``pack_addresses`` wrote.

    :param text: The text.
    :return: The addresses, in lower case.
    :raises AlchemyArgumentError: It is no such text.
    """
    try:
        packed = base64.b64decode(text, validate=True)
    except ValueError:
        packed = None
    if packed is None or len(packed) % _ADDRESS_BYTES:
        msg = f"argument {CONTRACTS_ARGUMENT!r} is {text[:50]!r} and no packed list of addresses"
        advice = "Run one version of airflow-provider-alchemy everywhere, and clear the task"
        raise AlchemyArgumentError(msg, advice=advice)
    starts = range(0, len(packed), _ADDRESS_BYTES)
    return tuple(f"0x{packed[start : start + _ADDRESS_BYTES].hex()}" for start in starts)


def _read_addresses(items: Sequence[Any], is_unknown: Callable[[Any], bool]) -> list[str]:
    addresses: list[str] = []
    first: AlchemyAddressError | None = None
    wrong = 0
    for position, item in enumerate(items):
        if is_unknown(item):
            continue
        place = f"{CONTRACTS_ARGUMENT}[{position}] (number {position + 1:,} of {len(items):,})"
        try:
            addresses.append(read_contract_address(item if isinstance(item, str) else Shortened(item), place))
        except AlchemyAddressError as error:
            error.what = error.what.replace(f"argument {place!r}", place, 1)
            first = first or error
            wrong += 1
    if first is None:
        return addresses
    if wrong > 1:
        first.what += f"; {wrong - 1:,} more of the addresses cannot be right either"
    raise first


TOKENS_ARGUMENT = "token_ids"
TOKENS_EXPECTED = (
    "expected a list of token ids, or a text of them: a JSON or Python list, or separated by commas or spaces"
)


@dataclass(frozen=True, slots=True)
class TokenList:
    """
    The tokens of a task.

    :param ids: Each token once, in the order in which they were first named.
    :param duplicates: How many more were named, again or in another form.
    """

    ids: tuple[int, ...]
    duplicates: int = 0

    def digest(self) -> str:
        """Tell this list from any other, also in another process: positions in it mean the same only there."""
        return digest_of(self.ids)


def read_token_ids(value: Any, is_unknown: Callable[[Any], bool] = lambda _: False) -> TokenList:
    """
    Check the tokens of a task before anything is sent.

    :param value: A list or any other iterable of ids (int, or text of decimal or hexadecimal digits), or a text of
        them. An empty list is one: nothing was minted.
    :param is_unknown: Tells which items get their value only later; they are left out. Default: none.
    :return: The tokens.
    :raises AlchemyArgumentError: The value is no list.
    :raises AlchemyTokenIdError: One is no token id; the text names the first with its position.
    """
    items = read_items(value, TOKENS_ARGUMENT, TOKENS_EXPECTED)
    named = list(_read_ids(items, is_unknown))
    ids = tuple(dict.fromkeys(named))
    return TokenList(ids, len(named) - len(ids))


def pack_ids(ids: Iterable[int]) -> str:
    """
    Write token ids as a short text.

    :param ids: The ids.
    :return: Runs of ids that follow each other, such as ``0-99,250``; in hexadecimal digits.
    """
    runs: list[str] = []
    first = last = -1
    for token_id in ids:
        if first >= 0 and token_id == last + 1:
            last = token_id
            continue
        if first >= 0:
            runs.append(_run(first, last))
        first = last = token_id
    if first >= 0:
        runs.append(_run(first, last))
    return ",".join(runs)


def digest_of(ids: Iterable[int]) -> str:
    """
    Tell a list of tokens from any other, also in another process.

    :param ids: The tokens.
    :return: A short text.
    """
    return hashlib.sha256(pack_ids(ids).encode()).hexdigest()[:32]


def unpack_ids(text: str) -> tuple[int, ...]:
    """
    Read what ``pack_ids`` wrote.

    :param text: The text.
    :return: The ids, in the same order.
    :raises ValueError: It is no such text.
    """
    return tuple(token_id for run in text.split(",") if run for token_id in _ids_of(run))


def _run(first: int, last: int) -> str:
    return f"{first:x}" if first == last else f"{first:x}-{last:x}"


def _ids_of(run: str) -> Iterable[int]:
    first, _, last = run.partition("-")
    ids = range(int(first, 16), int(last or first, 16) + 1)
    if not ids or ids[0] < 0:
        msg = f"{run[:100]!r} is no run of token ids"
        raise ValueError(msg)
    return ids


def _read_ids(items: list[Any], is_unknown: Callable[[Any], bool]) -> Iterator[int]:
    first: AlchemyTokenIdError | None = None
    wrong = 0
    for position, item in enumerate(items):
        if is_unknown(item):
            continue
        place = f"{TOKENS_ARGUMENT}[{position}] (number {position + 1:,} of {len(items):,})"
        try:
            yield read_token_id(item if isinstance(item, str | int) else Shortened(item), place)
        except AlchemyTokenIdError as error:
            error.what = error.what.replace(f"argument {place!r}", place, 1)
            first = first or error
            wrong += 1
    if first is None:
        return
    if wrong > 1:
        first.what += f"; {wrong - 1:,} more of the ids cannot be right either"
    raise first


FRESH_SINCE = "fresh_since"

FARTHEST_AHEAD = timedelta(minutes=5)
"""How far ahead the moment may be: the clocks of a worker, of the machine that wrote it and of Alchemy differ by less,
and what lies beyond is a mistake that would only show when the wait's time is over."""

_ADVICE = (
    "Write a moment with its time zone: '{{ dag_run.start_date }}', the XCom 'submitted_at' of the task that "
    "refreshed, an ISO 8601 text such as '2026-11-22T10:00:00+00:00', or an aware datetime"
)
NOTHING = frozenset({"", "none", "null"})
"""What a template renders to where what it names is not there."""


def read_fresh_since(value: Any) -> DateTime:
    """
    Check the form of a moment.

    :param value: An aware datetime, or a text in ISO 8601 with a time zone; a blank may stand for its ``T``.
    :return: The moment, in UTC.
    :raises AlchemyArgumentError: It is something else; the text says what to write.
    """
    return read_aware(value, FRESH_SINCE, _ADVICE)


def read_aware(value: Any, argument: str, advice: str) -> DateTime:
    """
    Check the form of a moment in any argument.

    :param value: An aware datetime, or a text in ISO 8601 with a time zone; a blank may stand for its ``T``.
    :param argument: The argument's name, for the error.
    :param advice: What to write instead, for the error.
    :return: The moment, in UTC.
    :raises AlchemyArgumentError: It is something else.
    """
    if isinstance(value, str) and value.strip().lower() in NOTHING:
        _refuse(argument, "is empty, or its template rendered to nothing", advice)
    moment = _read_moment_text(value.strip()) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        _refuse(argument, f"is {shown(value)}, which is no moment", advice)
    if moment.utcoffset() is None:
        _refuse(argument, f"is {_told(value)}, which has no time zone: it could be any of 27 hours", advice)
    in_utc = _in_utc(moment)
    if in_utc is None:
        _refuse(argument, f"is {_told(value)}, which is beyond the calendar", advice)
    return in_utc


def check_not_ahead(moment: DateTime, now: DateTime) -> None:
    """
    Refuse a moment that is still to come.

    :param moment: The moment.
    :param now: This machine's time.
    :raises AlchemyArgumentError: It is more than ``FARTHEST_AHEAD`` ahead.
    """
    if moment <= now + FARTHEST_AHEAD:
        return
    ahead = pendulum.duration(seconds=int((moment - now).total_seconds())).in_words(locale="en")
    _refuse(
        FRESH_SINCE, f"is {moment.isoformat()}, {ahead} in the future: no metadata can be newer than that yet", _ADVICE
    )


def _refuse(argument: str, problem: str, advice: str) -> NoReturn:
    msg = f"argument {argument!r} {problem}"
    raise AlchemyArgumentError(msg, advice=advice)


def _read_moment_text(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _in_utc(moment: datetime) -> DateTime | None:
    try:
        # By the moment's own rules of its zone, which pendulum may know otherwise.
        return pendulum.instance(moment.astimezone(UTC))
    except OverflowError:
        return None


def _told(value: Any) -> str:
    return shown(value if isinstance(value, str) else value.isoformat())


def allowed_failures(max_failed: float, total: int) -> int:
    """Tell how many of several may fail: an int is their number, a float from 0 to 1 their share."""
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
    """
    Check a block's number.

    :param value: A whole number from 0; None: not given.
    :param argument: The argument's name, for the error.
    :return: The number.
    :raises AlchemyArgumentError: It is something else.
    """
    return None if value is None else _read_number_of_blocks(value, argument, "the number of a block")


def read_confirmations(value: Any) -> int:
    """
    Check how many blocks must follow a block before it counts.

    :param value: A whole number from 0.
    :return: The number.
    :raises AlchemyArgumentError: It is something else.
    """
    return _read_number_of_blocks(value, "confirmations", "a whole number of blocks from 0")


SINCE_BLOCK, SINCE = "since_block", "since"

_MAX_BLOCK_DIGITS = 30
_BLOCK_ADVICE = (
    "Write the number of a block: an int, a text of decimal or hexadecimal digits, or the XCom 'next_block' of an "
    "earlier sensor"
)
_MOMENT_ADVICE = (
    "Write a moment with its time zone: '{{ dag_run.start_date }}', an ISO 8601 text such as "
    "'2026-11-22T10:00:00+00:00', or an aware datetime; or name the block with since_block"
)


def read_since_block(value: Any) -> int:
    """Read the number of the first block that counts."""
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
    return read_aware(value, SINCE, _MOMENT_ADVICE)


def read_min_tokens(value: Any) -> int:
    """Read how many tokens are waited for."""
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
