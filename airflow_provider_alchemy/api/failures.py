# SPDX-License-Identifier: Apache-2.0
"""
What it means when an HTTP library raises instead of answering. No I/O.

Exceptions of HTTP libraries print the whole URL, key included. None of them is shown, chained or kept: the
type of what lies at their root says all that a person needs.
"""

from __future__ import annotations

import os
import socket
import ssl
import zlib
from collections.abc import Iterator
from http.client import HTTPException, RemoteDisconnected

import aiohttp
import requests

from airflow_provider_alchemy.api.errors import (
    AlchemyBadAnswerError,
    AlchemyConfigurationError,
    AlchemyConnectionError,
    AlchemyError,
    AlchemyHostNotFoundError,
    AlchemyTimeoutError,
)
from airflow_provider_alchemy.api.settings import ClientSettings

_CUT = (aiohttp.ClientPayloadError, requests.exceptions.ChunkedEncodingError, HTTPException)
_UNREADABLE = (aiohttp.ContentTypeError, requests.exceptions.ContentDecodingError, UnicodeError, zlib.error)
_TIMED_OUT = (TimeoutError, requests.exceptions.Timeout)
_PROXY = (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError, requests.exceptions.ProxyError)


def explain(error: BaseException, settings: ClientSettings, host: str, *, through_proxy: bool = False) -> AlchemyError:
    """
    Tell what happened when no answer came, or not all of one.

    :param error: What the HTTP library raised; nothing of its text is used.
    :param settings: The client's settings, for advice.
    :param host: The host that was asked, without the key.
    :param through_proxy: Whether a proxy stands in between: it then is the only name that is looked up here.
    :return: The error to raise in its place. One of ours, which the way to the service raised, is that already.
    """
    if isinstance(error, AlchemyError):
        return error.without(settings.api_key)
    return _explain(error, settings, host, through_proxy=through_proxy).without(settings.api_key)


def _explain(error: BaseException, settings: ClientSettings, host: str, *, through_proxy: bool) -> AlchemyError:
    roots = tuple(_chain(error))
    if _any(roots, _PROXY) or (through_proxy and _any(roots, (socket.gaierror,))):
        return AlchemyConnectionError(
            f"the proxy on the way to {host} could not be used",
            advice="Check proxy in the connection's extra, or HTTPS_PROXY where the task runs",
        )
    for root in roots:
        if isinstance(root, socket.gaierror):
            return _name_not_found(root, settings, host)
        if isinstance(root, ssl.SSLCertVerificationError):
            # aiohttp's own subclass lacks the words; the error of the TLS library is further down the chain.
            reason = next((str(r.verify_message) for r in roots if hasattr(r, "verify_message")), "no reason told")
            return AlchemyConfigurationError(
                f"the TLS certificate of {host} is not trusted: {reason}",
                advice="Set verify in the connection's extra to the file with the authority's certificate",
            )
    if _any(roots, _TIMED_OUT):
        return AlchemyTimeoutError(f"{host} gave no complete answer within {settings.timeout:g} seconds")
    if _any(roots, _CUT + _UNREADABLE) and not _any(roots, (RemoteDisconnected,)):
        return AlchemyBadAnswerError(f"the answer of {host} was cut short or could not be read")
    # The number says it: some libraries write the address into strerror, and a URL into their own text.
    numbers = [root.errno for root in roots if isinstance(root, OSError) and root.errno]
    reason = os.strerror(numbers[-1]) if numbers else "the connection broke"
    return AlchemyConnectionError(f"no connection to {host}: {reason}")


def _name_not_found(error: socket.gaierror, settings: ClientSettings, host: str) -> AlchemyError:
    if error.errno == socket.EAI_AGAIN:
        return AlchemyConnectionError(
            f"the name of {host} could not be looked up for now",
            advice="Check the name service (DNS) and the network connection of the machine that runs the task",
        )
    return AlchemyHostNotFoundError(
        f"host {host} does not exist",
        advice=f"Check the connection's host: {settings.host!r}"
        if settings.host and "{network}" not in settings.host
        else f"Check that network {settings.network!r} is spelled as in the Alchemy dashboard; if it is, the machine "
        "that runs the task cannot look up host names (DNS)",
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        found = todo.pop(0)
        if isinstance(found, BaseException) and id(found) not in seen:
            seen.add(id(found))
            yield found
            # requests keeps the cause as its first argument, urllib3 as reason, aiohttp as os_error.
            todo += [found.__cause__, found.__context__, *found.args]
            todo += [getattr(found, "reason", None), getattr(found, "os_error", None)]


def _any(roots: tuple[BaseException, ...], types: tuple[type[BaseException], ...]) -> bool:
    return any(isinstance(root, types) for root in roots)
