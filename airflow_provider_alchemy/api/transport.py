# SPDX-License-Identifier: Apache-2.0
"""
Two thin shells, requests and aiohttp, round one retry policy and one unit budget.

The shells move bytes. What to send, what an answer or a failure means, how long to wait and what it cost is
decided by the modules that both share.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import requests
import stamina
from pendulum import DateTime, now
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy

from airflow_provider_alchemy.api.answers import Answer, is_billed, read_answer
from airflow_provider_alchemy.api.budget import budget_of
from airflow_provider_alchemy.api.endpoints import Call, Request, build_request
from airflow_provider_alchemy.api.errors import (
    AlchemyBadAnswerError,
    AlchemyConfigurationError,
    AlchemyEndpointGoneError,
    AlchemyError,
    AlchemyTimeoutError,
    AlchemyUnexpectedAnswerError,
    redact,
)
from airflow_provider_alchemy.api.failures import explain
from airflow_provider_alchemy.api.metering import Meter
from airflow_provider_alchemy.api.retries import Retrying
from airflow_provider_alchemy.api.settings import ClientSettings, is_loopback
from airflow_provider_alchemy.api.url_log import URL_LOG, KeyFilter

T = TypeVar("T")

MAX_BODY_BYTES = 16 * 2**20
"""More than any answer of the API: a body that never ends must not fill a worker's memory."""

CHUNK_BYTES = 2**16


class _Transport:
    """What both shells share: everything but the bytes."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._budget = budget_of(settings)
        self._host = urlsplit(settings.base_url).netloc
        self._proxy = settings.proxy or _environments_proxy(settings.base_url)

    def _retry_context(self, attempts: int | None, deadline: DateTime | None) -> Any:
        return stamina.retry_context(
            on=Retrying(deadline), attempts=attempts or self.settings.max_attempts, timeout=None
        )

    def _start_in(self, call: Call[Any], deadline: DateTime | None) -> float:
        """Give the seconds until the budget allows the call; the last look before a deadline is not held back."""
        delay = self._budget.reserve(call.endpoint.throughput_units, time.monotonic())
        if deadline is None:
            return delay
        return max(0.0, min(delay, (deadline - now("UTC")).total_seconds()))

    def _read(self, call: Call[T], outcome: Answer | AlchemyError, meter: Meter | None) -> T:
        """Bill a request and read its outcome."""
        if meter is not None:
            meter.calls += 1
            meter.compute_units += call.endpoint.compute_units if _was_billed(outcome) else 0
        try:
            if isinstance(outcome, AlchemyError):
                raise outcome
            return call.read(read_answer(outcome))
        except AlchemyError as error:
            if isinstance(error, AlchemyEndpointGoneError) and call.endpoint.advice_when_gone:
                error.advice = call.endpoint.advice_when_gone
            raise error.without(self.settings.api_key).about(call.subject) from None

    def _answer(self, status: int, body: bytes, headers: Any) -> Answer:
        text = redact(body.decode("utf-8", errors="replace"), self.settings.api_key)
        return Answer(status, text, {name.lower(): value for name, value in headers.items()})

    def _too_large(self) -> AlchemyError:
        return AlchemyUnexpectedAnswerError(f"{self._host} sent more than {MAX_BODY_BYTES // 2**20} MiB")

    def _authorities(self) -> bool | str:
        """Give what to check certificates against: the connection's word, else the environment's, else certifi."""
        verify = self.settings.verify
        if isinstance(verify, str) and not Path(verify).is_file():
            msg = f"field 'verify' of {self.settings.source} is {verify!r}, which is no file on this machine"
            raise AlchemyConfigurationError(msg, advice="Expected true, false, or a file with certificate authorities")
        if verify is not True:
            return verify
        bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        return bundle or DEFAULT_CA_BUNDLE_PATH


class SyncTransport(_Transport):
    """
    The shell for threads: one ``requests`` session for its life.

    :param settings: Whose account, and the way to it.
    """

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(settings)
        self._session = requests.Session()
        # The environment's .netrc would replace the Authorization header; its proxies are read above.
        self._session.trust_env = False
        self._session.verify = self._authorities()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        if self._proxy:
            self._session.proxies = {"http": self._proxy, "https": self._proxy}
        self._filter = KeyFilter(settings.api_key)
        URL_LOG.addFilter(self._filter)

    def send(
        self,
        call: Call[T],
        *,
        meter: Meter | None = None,
        max_attempts: int | None = None,
        deadline: DateTime | None = None,
    ) -> T:
        """
        Make a call, within the budget and with retries.

        :param call: The call.
        :param meter: Counts the requests and units, also where the call fails.
        :param max_attempts: Attempts; default: the connection's.
        :param deadline: No sleep outlasts it.
        :return: The call's value.
        :raises AlchemyError: What went wrong.
        """
        for attempt in self._retry_context(max_attempts, deadline):
            with attempt:
                time.sleep(self._start_in(call, deadline))
                outcome = self._exchange(build_request(call, self.settings))
                return self._read(call, outcome, meter)
        msg = "stamina ends with a value or an error"
        raise AssertionError(msg)

    def _exchange(self, request: Request) -> Answer | AlchemyError:
        try:
            return self._fetch(request)
        except Exception as error:  # noqa: BLE001 - whatever an HTTP library raises may hold the URL, hence the key
            # Returned, not raised: an exception raised here would carry the library's as its context.
            return explain(error, self.settings, self._host, through_proxy=bool(self._proxy))

    def _fetch(self, request: Request) -> Answer | AlchemyError:
        ends = time.monotonic() + self.settings.timeout
        with self._session.request(
            request.method,
            request.url,
            params=request.params,
            headers=request.headers,
            timeout=self.settings.timeout,
            allow_redirects=False,
            stream=True,
        ) as response:
            # requests limits the silence between two bytes, not the whole: a dripping answer would never end.
            read = getattr(response.raw, "read1", response.raw.read)
            body = bytearray()
            while chunk := read(CHUNK_BYTES, decode_content=True):
                body += chunk
                if time.monotonic() > ends:
                    raise TimeoutError
                if len(body) > MAX_BODY_BYTES:
                    return self._too_large()
            return self._answer(response.status_code, bytes(body), response.headers)

    def close(self) -> None:
        """Close the session."""
        self._session.close()
        URL_LOG.removeFilter(self._filter)


class AsyncTransport(_Transport):
    """
    The shell for event loops: one ``aiohttp`` session for its life, opened by its first call.

    :param settings: Whose account, and the way to it.
    """

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(settings)
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()

    async def send(
        self,
        call: Call[T],
        *,
        meter: Meter | None = None,
        max_attempts: int | None = None,
        deadline: DateTime | None = None,
    ) -> T:
        """
        Make a call, within the budget and with retries.

        :param call: The call.
        :param meter: Counts the requests and units, also where the call fails.
        :param max_attempts: Attempts; default: the connection's.
        :param deadline: No sleep outlasts it.
        :return: The call's value.
        :raises AlchemyError: What went wrong.
        """
        async for attempt in self._retry_context(max_attempts, deadline):
            with attempt:
                await asyncio.sleep(self._start_in(call, deadline))
                outcome = await self._exchange(build_request(call, self.settings))
                return self._read(call, outcome, meter)
        msg = "stamina ends with a value or an error"
        raise AssertionError(msg)

    async def _exchange(self, request: Request) -> Answer | AlchemyError:
        try:
            return await self._fetch(request)
        except Exception as error:  # noqa: BLE001 - whatever an HTTP library raises may hold the URL, hence the key
            # Returned, not raised: an exception raised here would carry the library's as its context.
            return explain(error, self.settings, self._host, through_proxy=bool(self._proxy))

    async def _fetch(self, request: Request) -> Answer | AlchemyError:
        session = self._session or await self._open_once()
        async with session.request(
            request.method,
            request.url,
            params=request.params,
            headers=request.headers,
            allow_redirects=False,
            proxy=self._proxy,
        ) as response:
            body = bytearray()
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    return self._too_large()
            return self._answer(response.status, bytes(body), response.headers)

    async def _open_once(self) -> aiohttp.ClientSession:
        # Opening takes a while: calls that come meanwhile wait for this session and open none of their own.
        async with self._opening:
            self._session = self._session or await self._open()
            return self._session

    async def _open(self) -> aiohttp.ClientSession:
        # Reading the authorities from disk takes long enough to hold up the other triggers of the loop.
        context = await asyncio.to_thread(_ssl_context, self._authorities())
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context),
            timeout=aiohttp.ClientTimeout(total=self.settings.timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        # aiohttp would send a GET again by itself after a reset: unmetered, outside the budget, and billed.
        session._retry_connection = False  # noqa: SLF001 - there is no public switch
        return session

    async def aclose(self) -> None:
        """Close the session."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


def _environments_proxy(base_url: str) -> str | None:
    if is_loopback(urlsplit(base_url).hostname or ""):
        return None
    return select_proxy(base_url, get_environ_proxies(base_url, no_proxy=None))


def _ssl_context(authorities: bool | str) -> ssl.SSLContext | bool:
    return ssl.create_default_context(cafile=authorities) if isinstance(authorities, str) else authorities


def _was_billed(outcome: Answer | AlchemyError) -> bool:
    """An answer tells by its status; where none or not all came, the request was sent and may well be billed."""
    if isinstance(outcome, Answer):
        return is_billed(outcome.http_status)
    return isinstance(outcome, AlchemyTimeoutError | AlchemyBadAnswerError | AlchemyUnexpectedAnswerError)
