# SPDX-License-Identifier: Apache-2.0
"""From an Airflow connection to the settings of a client: what each field means, and how its key is masked."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from difflib import get_close_matches
from functools import cache
from typing import Any, Protocol
from urllib.parse import quote

from airflow.providers.common.compat.sdk import mask_secret

from airflow_provider_alchemy.api.errors import AlchemyConfigurationError
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.connection_form import EXTRA_FIELDS, ExtraField

CONNECTION_TYPE = "alchemy"

_log = logging.getLogger(__name__)


class Connection(Protocol):
    """What is read of an Airflow connection; Airflow 2 and 3 have a class each."""

    conn_id: Any
    conn_type: Any
    login: Any
    host: Any
    schema: Any
    port: Any
    password: Any


def read_settings(connection: Connection, extra: dict[str, Any], network: str | None = None) -> ClientSettings:
    """Read a connection, its extra already as a dict; a network of the task replaces the connection's."""
    source = f"connection {connection.conn_id!r}"
    key = (connection.password or "").strip()
    if not key and connection.login:
        # Not shown: it is most likely the key.
        msg = f"field 'password' (API key) of {source} is empty, and field 'login' is not"
        raise AlchemyConfigurationError(msg, advice="Move the key from login to password; login is not used")
    try:
        return _read_settings(connection, key, extra, network, source)
    except AlchemyConfigurationError as error:
        raise error.without(key) from None


def _read_settings(
    connection: Connection, key: str, extra: dict[str, Any], network: str | None, source: str
) -> ClientSettings:
    if connection.conn_type != CONNECTION_TYPE:
        msg = f"{source} is of type {connection.conn_type!r}; expected a connection of type {CONNECTION_TYPE!r}"
        raise AlchemyConfigurationError(msg, advice="Choose another connection, or change its type to Alchemy")
    _warn_of_unknown(tuple(name for name in extra if not key or key not in name), source)
    values = {field.name: _read_field(field, extra.get(field.name), source) for field in EXTRA_FIELDS}
    if network is not None:
        values["network"] = network
    return ClientSettings(
        api_key=key,
        host=_read_host(connection),
        source=source,
        **values,
    )


def _read_host(connection: Connection) -> str | None:
    """Join host, port and schema: a URI splits a base URL into them, its path too; a form holds it whole in host."""
    host = (connection.host or "").strip()
    if not host:
        if connection.port:
            msg = f"field 'port' of connection {connection.conn_id!r} is {connection.port}, but field 'host' is empty"
            raise AlchemyConfigurationError(msg, advice="Set host to the base URL, or leave both empty")
        return None
    schema = (connection.schema or "").strip("/")
    is_scheme = schema in {"http", "https"}
    if "://" not in host:
        host = f"{schema if is_scheme else 'https'}://{host}"
    if connection.port:
        host = f"{host.rstrip('/')}:{connection.port}"
    return f"{host.rstrip('/')}/{schema}" if schema and not is_scheme else host


@cache
def _warn_of_unknown(names: tuple[str, ...], source: str) -> None:
    """Warn once of each field of an extra that nothing reads: another network than was meant costs money."""
    known = [field.name for field in EXTRA_FIELDS]
    for name in names:
        if name in known or name == "__extra__":  # the latter is Airflow's own, of a connection's URI
            continue
        plain = name.lower().removeprefix("extra__").removeprefix(f"{CONNECTION_TYPE}__").replace("-", "_")
        meant = get_close_matches(plain, known, n=1)
        hint = f"did you mean {meant[0]!r}?" if meant else f"the fields are {', '.join(known)}"
        _log.warning("Field %r in the extra of %s is not used: %s", name[:40], source, hint)


def _read_field(field: ExtraField, value: Any, source: str) -> Any:
    """Give the field's value in its type: a connection's URI and some forms give every value as text."""
    text = value.strip() if isinstance(value, str) else value
    if text is None or text == "":
        text = field.default
    if field.name == "verify":
        return _read_flag(text, text)
    try:
        return _READERS[field.kind](text)
    except (TypeError, ValueError):
        shown = "of another type" if field.sensitive else repr(value)
        msg = f"field {field.name!r} of {source} is {shown}; expected a {field.kind}"
        raise AlchemyConfigurationError(msg) from None


def _read_flag(value: Any, otherwise: Any) -> Any:
    if isinstance(value, bool):
        return value
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(
        str(value).lower(), otherwise
    )


def _read_boolean(value: Any) -> bool:
    flag = _read_flag(value, None)
    if flag is None:
        raise ValueError
    return bool(flag)


def _read_number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError
    number = float(value)
    return int(number) if number.is_integer() else number


def _read_integer(value: Any) -> int:
    number = _read_number(value)
    if not isinstance(number, int):
        raise TypeError
    return number


def _read_string(value: Any) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


_READERS = {
    "string": _read_string,
    "number": _read_number,
    "integer": _read_integer,
    "boolean": _read_boolean,
}


def read_extra(extra: str | None, source: str) -> dict[str, Any]:
    try:
        value = json.loads(extra) if extra else {}
    except ValueError:
        value = None
    if not isinstance(value, dict):
        msg = f'field \'extra\' of {source} is no JSON object; expected for example {{"network": "eth-mainnet"}}'
        raise AlchemyConfigurationError(msg)
    return value


_amask_secret: Callable[[Any], Awaitable[None]] | None
try:
    from airflow.sdk.log import amask_secret as _amask_secret
except ImportError:
    _amask_secret = None

_ASKS_SUPERVISOR = mask_secret.__module__ == "airflow.sdk.log"


def mask_key(key: str) -> None:
    """Mask a key in what this process logs from now on, and in what Airflow logs of it. Not for event loops."""
    for form in _forms_of(key):
        mask_secret(form)


async def amask_key(key: str) -> None:
    """
    Mask a key in an event loop.

    Airflow 3.1 to 3.3.1 asks its supervisor for each mask and waits for the answer with the loop held up, which can
    block a triggerer without end: there the key is masked as it was typed, by Airflow itself, and in no other form.
    """
    for form in _forms_of(key):
        if _amask_secret is not None:
            await _amask_secret(form)
        elif not _ASKS_SUPERVISOR:
            mask_secret(form)


def _forms_of(key: str) -> Iterator[str]:
    # Airflow masks the password as it was typed: without blanks round it, and quoted in a URL, it is another.
    yield from {key, quote(key, safe="")}
