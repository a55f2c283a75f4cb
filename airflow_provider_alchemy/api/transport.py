# SPDX-License-Identifier: Apache-2.0
"""
Two thin shells, requests and aiohttp, round one retry policy and one unit budget.

The shells move bytes. What to send, what an answer or a failure means, how long to wait and what it cost is
decided by the modules that both share.
"""

from __future__ import annotations

import asyncio
import time
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import aiohttp
import requests
import stamina
from pendulum import DateTime, now
from yarl import URL

from airflow_provider_alchemy.api.answers import Answer, is_billed, read_answer
from airflow_provider_alchemy.api.budget import budget_of
from airflow_provider_alchemy.api.endpoints import Call, Request, build_request
from airflow_provider_alchemy.api.errors import (
    AlchemyBadAnswerError,
    AlchemyError,
    AlchemyRateLimitError,
    AlchemyTimeoutError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.api.failures import explain
from airflow_provider_alchemy.api.metering import Allowance, Meter, paid
from airflow_provider_alchemy.api.redaction import Redactor
from airflow_provider_alchemy.api.retries import Retrying
from airflow_provider_alchemy.api.routes import ProxyWay, authorities, proxy, proxy_way, ssl_context
from airflow_provider_alchemy.api.settings import ClientSettings
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
        self._redactor = Redactor(settings.api_key)
        self._host = urlsplit(settings.base_url).netloc
        self._proxy = proxy(settings)

    def _retry_context(self, attempts: int | None, deadline: DateTime | None, *, is_patient: bool = False) -> Any:
        return stamina.retry_context(
            on=Retrying(deadline, is_patient=is_patient), attempts=attempts or self.settings.max_attempts, timeout=None
        )

    def _start_in(self, call: Call[Any], deadline: DateTime | None) -> float:
        """Give the seconds until the budget allows the call; the last look before a deadline is not held back."""
        delay = self._budget.reserve(call.endpoint.throughput_units, time.monotonic())
        if deadline is None:
            return delay
        return max(0.0, min(delay, (deadline - now("UTC")).total_seconds()))

    def _begin(self, meter: Meter | None) -> float:
        """Count a request; give the moment at which it begins, in monotonic seconds."""
        if meter is not None:
            meter.calls += 1
            meter.first_call_at = meter.first_call_at or now("UTC")
        return time.monotonic()

    def _read(self, call: Call[T], outcome: Answer | AlchemyError, meter: Meter | None, started_at: float) -> T:
        """Bill a request and read its outcome."""
        if meter is not None:
            meter.compute_units += call.endpoint.compute_units if _was_billed(outcome) else 0
        try:
            if isinstance(outcome, AlchemyError):
                raise outcome
            return call.read(read_answer(outcome))
        except AlchemyError as error:
            if isinstance(error, AlchemyRateLimitError):
                self._budget.slow_down(started_at, time.monotonic())
                if meter is not None:
                    meter.throttled += 1
            error.advice = call.advice_on(error)
            raise error.without(self.settings.api_key).about(call.subject) from None

    def _answer(self, status: int, body: bytes, headers: Any) -> Answer:
        text = self._redactor(body.decode("utf-8", errors="replace"))
        return Answer(status, text, headers)

    def _too_large(self, status: int) -> AlchemyError:
        msg = f"{self._host} sent more than {MAX_BODY_BYTES // 2**20} MiB"
        return AlchemyUnexpectedAnswerError(msg, http_status=status)


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
        self._session.verify = authorities(settings)
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
                started_at = self._begin(meter)
                outcome = self._exchange(build_request(call, self.settings))
                return self._read(call, outcome, meter, started_at)
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
            data=request.body,
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
                    return self._too_large(response.status_code)
            return self._answer(response.status_code, bytes(body), response.headers)

    def close(self) -> None:
        """Close the session."""
        self._session.close()
        URL_LOG.removeFilter(self._filter)


class AsyncTransport(_Transport):
    """
    The shell for event loops: one ``aiohttp`` session for its life, opened by its first call.

    :param settings: Whose account, and the way to it.
    :param connections: How many connections it keeps at most; further calls wait for one. Default 100, aiohttp's.
    """

    def __init__(self, settings: ClientSettings, connections: int = 100) -> None:
        super().__init__(settings)
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._way = ProxyWay()
        self._opening = asyncio.Lock()

    async def send(
        self,
        call: Call[T],
        *,
        meter: Meter | None = None,
        max_attempts: int | None = None,
        deadline: DateTime | None = None,
        allowance: Allowance | None = None,
        is_patient: bool = False,
    ) -> T:
        """
        Make a call, within the budget and with retries.

        :param call: The call.
        :param meter: Counts the requests and units, also where the call fails.
        :param max_attempts: Attempts; default: the connection's.
        :param deadline: No sleep outlasts it.
        :param allowance: What it may cost: each attempt is paid for before it is made. Default: any amount.
        :param is_patient: Whether an answer that the API reference does not know is worth another attempt.
        :return: The call's value.
        :raises AlchemyError: What went wrong.
        """
        async for attempt in self._retry_context(max_attempts, deadline, is_patient=is_patient):
            with attempt, paid(call.endpoint.compute_units, allowance or Allowance(), meter or Meter()) as spent:
                await asyncio.sleep(self._start_in(call, deadline))
                return await self.attempt(call, meter=spent)
        msg = "stamina ends with a value or an error"
        raise AssertionError(msg)

    async def attempt(self, call: Call[T], *, meter: Meter | None = None) -> T:
        """
        Make a call once and now: for callers that keep the budget and the retries themselves.

        :param call: The call.
        :param meter: Counts the request and its units, also where the call fails.
        :return: The call's value.
        :raises AlchemyError: What went wrong.
        """
        started_at = self._begin(meter)
        outcome = await self._exchange(build_request(call, self.settings))
        return self._read(call, outcome, meter, started_at)

    async def _exchange(self, request: Request) -> Answer | AlchemyError:
        try:
            return await self._fetch(request)
        except Exception as error:  # noqa: BLE001 - whatever an HTTP library raises may hold the URL, hence the key
            # Returned, not raised: an exception raised here would carry the library's as its context.
            return explain(error, self.settings, self._host, through_proxy=bool(self._proxy))

    async def _fetch(self, request: Request) -> Answer | AlchemyError:
        # Built here and marked as encoded: aiohttp would take the URL apart and put it together anew for each poll.
        url = URL(f"{request.url}?{urlencode(request.params)}" if request.params else request.url, encoded=True)
        session = self._session or await self._open_once()
        # Not aiohttp's own timeout: where it is over at the same moment as a time limit round the call, it swallows
        # the cancellation by that one (aiohttp.helpers.TimerContext within another).
        async with (
            asyncio.timeout(self.settings.timeout),
            session.request(
                request.method,
                url,
                headers={**request.headers, **self._way.request_headers},
                data=request.body,
                allow_redirects=False,
                proxy=self._way.url,
                proxy_headers=self._way.tunnel_headers,
            ) as response,
        ):
            body = bytearray()
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    return self._too_large(response.status)
            return self._answer(response.status, bytes(body), response.headers)

    async def _open_once(self) -> aiohttp.ClientSession:
        # Opening takes a while: calls that come meanwhile wait for this session and open none of their own.
        async with self._opening:
            self._session = self._session or await self._open()
            return self._session

    async def _open(self) -> aiohttp.ClientSession:
        self._way = proxy_way(self._proxy, self.settings.base_url)
        # Reading the authorities from disk takes long enough to hold up the other triggers of the loop.
        context = await asyncio.to_thread(ssl_context, self.settings)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=self._connections),
            timeout=aiohttp.ClientTimeout(total=None),
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


def _was_billed(outcome: Answer | AlchemyError) -> bool:
    """An answer tells by its status; where none or not all came, the request was sent and may well be billed."""
    if isinstance(outcome, Answer):
        return is_billed(outcome.http_status)
    return isinstance(outcome, AlchemyTimeoutError | AlchemyBadAnswerError | AlchemyUnexpectedAnswerError)
