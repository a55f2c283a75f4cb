# SPDX-License-Identifier: Apache-2.0
"""
The two clients, requests for threads and aiohttp for event loops: the only place that opens connections.

They move bytes. What to send, what an answer or a failure means, when a call may start and what it costs is decided by
the modules that both share. Either library is loaded by the first client that needs it.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from base64 import b64encode
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypeVar
from urllib.parse import urlsplit

from airflow_provider_alchemy.api import throttle
from airflow_provider_alchemy.api.endpoints import Call, Request, build_request
from airflow_provider_alchemy.api.errors import (
    AlchemyBadAnswerError,
    AlchemyConfigurationError,
    AlchemyError,
    AlchemyRateLimitError,
    AlchemyTimeoutError,
    AlchemyUnexpectedAnswerError,
    ErrorKind,
)
from airflow_provider_alchemy.api.redaction import URL_LOG, KeyFilter, Redactor
from airflow_provider_alchemy.api.responses import Answer, explain, read_answer
from airflow_provider_alchemy.api.settings import ClientSettings, is_loopback
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage, paid

if TYPE_CHECKING:
    from collections.abc import Mapping

    import aiohttp
    import requests

T = TypeVar("T")

MAX_BODY_BYTES = 16 * 2**20
"""More than any answer of the API: a body that never ends must not fill a worker's memory."""

CHUNK_BYTES = 2**16


class _Attempts:
    """Decides whether a call that failed is tried again, and after how many seconds: one rule for both clients."""

    __slots__ = ("_deadline", "_failures", "_left", "_retries_unexpected", "_waits_out_throttling")

    def __init__(
        self,
        max_attempts: int,
        deadline: datetime | None,
        *,
        retries_unexpected: bool = False,
        waits_out_throttling: bool = False,
    ) -> None:
        self._left = max_attempts
        self._failures = 0
        self._deadline = deadline
        self._retries_unexpected = retries_unexpected
        self._waits_out_throttling = waits_out_throttling or deadline is not None

    @property
    def max_refusals(self) -> float:
        """How often the service may refuse the account before the call gives up."""
        return float("inf") if self._waits_out_throttling else self._left

    def seconds_after(self, error: AlchemyError) -> float:
        """Give the seconds to wait before the next attempt; raise the error where there is none."""
        if isinstance(error, AlchemyRateLimitError):
            # The throttle knows when the account's calls go on.
            self._left -= 0 if self._waits_out_throttling else 1
            delay = 0.0
        elif error.kind is ErrorKind.TRANSIENT or (
            self._retries_unexpected and isinstance(error, AlchemyUnexpectedAnswerError)
        ):
            self._left -= 1
            self._failures += 1
            delay = throttle.backoff_seconds(self._failures, error.retry_after_seconds)
        else:
            raise error
        if self._left <= 0 or delay > throttle.seconds_until(self._deadline):
            raise error
        return delay


class _Client:
    """What both clients share: everything but the bytes."""

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._throttle = throttle.throttle_of(settings)
        self._redactor = Redactor(settings.api_key)
        self._host = urlsplit(settings.base_url).netloc
        self._proxy = proxy(settings)

    def _begin(self, usage: Usage) -> None:
        usage.calls += 1
        if usage.first_call_at is None:
            usage.first_call_at = datetime.now(UTC)

    def _read(self, call: Call[T], outcome: Answer | AlchemyError, usage: Usage) -> T:
        """Bill a request and read its outcome."""
        # Where not all of an answer came, or none, the request was sent and may well be billed.
        lost = (AlchemyTimeoutError, AlchemyBadAnswerError, AlchemyUnexpectedAnswerError)
        if outcome.is_billed if isinstance(outcome, Answer) else isinstance(outcome, lost):
            usage.compute_units += call.endpoint.compute_units
        try:
            if isinstance(outcome, AlchemyError):
                raise outcome
            return call.read(read_answer(outcome))
        except AlchemyError as error:
            usage.throttled += isinstance(error, AlchemyRateLimitError)
            error.advice = call.advice_on(error)
            raise error.without(self.settings.api_key).about(call.subject) from None

    def _answer(self, status: int, body: bytearray, headers: Mapping[str, str]) -> Answer | AlchemyError:
        if len(body) > MAX_BODY_BYTES:
            msg = f"{self._host} sent more than {MAX_BODY_BYTES // 2**20} MiB"
            return AlchemyUnexpectedAnswerError(msg, http_status=status)
        return Answer(status, self._redactor(body.decode("utf-8", errors="replace")), headers)

    def _explain(self, error: Exception) -> AlchemyError:
        return explain(error, self.settings, self._host, through_proxy=bool(self._proxy))


class AlchemyClient(_Client):
    """
    Alchemy's API for threads: one ``requests`` session for its life.

    :param settings: Whose account, and the way to it.
    """

    def __init__(self, settings: ClientSettings) -> None:
        super().__init__(settings)
        import requests  # noqa: PLC0415 - see above

        self._session: requests.Session = requests.Session()
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
        usage: Usage | None = None,
        max_attempts: int | None = None,
        deadline: datetime | None = None,
    ) -> T:
        """
        Make a call, within the account's throughput and with retries.

        :param call: The call: what a function of ``api.endpoints`` gives.
        :param usage: Counts the requests and units, also where the call fails.
        :param max_attempts: Attempts; default: the settings'. Refusals for throughput (HTTP 429) count as attempts only
            where there is no deadline.
        :param deadline: No sleep outlasts it.
        :return: The call's value.
        :raises AlchemyError: What went wrong.
        """
        usage = usage or Usage()
        attempts = _Attempts(max_attempts or self.settings.max_attempts, deadline)
        units = call.endpoint.throughput_units
        while True:
            began_at = self._throttle.wait(units, deadline=deadline, max_refusals=attempts.max_refusals)
            self._begin(usage)
            try:
                value = self._read(call, self._exchange(build_request(call, self.settings)), usage)
            except AlchemyError as error:
                self._throttle.report(began_at, error)
                delay = attempts.seconds_after(error)
            else:
                self._throttle.report(began_at)
                return value
            time.sleep(delay)

    def _exchange(self, request: Request) -> Answer | AlchemyError:
        ends, body = time.monotonic() + self.settings.timeout, bytearray()
        try:
            with self._session.request(
                request.method,
                request.url,
                headers=request.headers,
                data=request.body,
                timeout=self.settings.timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                # requests limits the silence between two bytes, not the whole: a dripping answer would never end.
                read = getattr(response.raw, "read1", response.raw.read)
                while chunk := read(CHUNK_BYTES, decode_content=True):
                    body += chunk
                    if time.monotonic() > ends:
                        raise TimeoutError  # noqa: TRY301 - explained like the library's own
                    if len(body) > MAX_BODY_BYTES:
                        break
        except Exception as error:  # noqa: BLE001 - whatever an HTTP library raises may hold the URL, hence the key
            # Returned, not raised: an exception raised here would carry the library's as its context.
            return self._explain(error)
        return self._answer(response.status_code, body, response.headers)

    def close(self) -> None:
        self._session.close()
        URL_LOG.removeFilter(self._filter)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncAlchemyClient(_Client):
    """
    Alchemy's API for one event loop: one ``aiohttp`` session for its life, opened by its first call.

    :param settings: Whose account, and the way to it.
    :param connections: How many connections it keeps at most; further calls wait for one. Default 100, aiohttp's.
    :param waits_out_throttling: Whether a call waits for as long as the service refuses the account, as calls of a wait
        do: their wait ends them. Default False: a call without a deadline gives up after ``max_attempts``.
    """

    def __init__(self, settings: ClientSettings, *, connections: int = 100, waits_out_throttling: bool = False) -> None:
        super().__init__(settings)
        self._connections = connections
        self._waits_out_throttling = waits_out_throttling
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()
        self._free = asyncio.Semaphore(connections)
        self._proxy_url: str | None = None
        self._proxy_headers: dict[str, str] = {}
        self._tunnel_headers: dict[str, str] = {}
        self._queue: throttle.Queue | None = None

    async def send(
        self,
        call: Call[T],
        *,
        usage: Usage | None = None,
        max_attempts: int | None = None,
        deadline: datetime | None = None,
        spending_limit: SpendingLimit | None = None,
        priority: float = 0.0,
        retries_unexpected: bool = False,
    ) -> T:
        """
        Make a call, within the account's throughput and with retries.

        :param call: The call: what a function of ``api.endpoints`` gives.
        :param usage: Counts the requests and units, also where the call fails.
        :param max_attempts: Attempts; default: the settings'. Refusals for throughput (HTTP 429) count as attempts only
            where there is no deadline.
        :param deadline: No sleep outlasts it.
        :param spending_limit: What it may cost: each attempt is paid for before it is made. Default: any amount.
        :param priority: Seconds by which it goes before other calls that wait for their turn. Default 0.
        :param retries_unexpected: Whether an answer that the API reference does not know is worth another attempt, as
            it is where hundreds of calls are one task. Default False.
        :return: The call's value.
        :raises AlchemyError: What went wrong.
        """
        attempts = _Attempts(
            max_attempts or self.settings.max_attempts,
            deadline,
            retries_unexpected=retries_unexpected,
            waits_out_throttling=self._waits_out_throttling,
        )
        queue = self._queue = self._queue or self._throttle.queue()
        units, price = call.endpoint.throughput_units, call.endpoint.compute_units
        while True:
            with paid(price, spending_limit or SpendingLimit(), usage or Usage()) as spent:
                began_at = await queue.wait(
                    units, priority=priority, deadline=deadline, max_refusals=attempts.max_refusals
                )
                try:
                    value = await self.attempt(call, spent)
                except AlchemyError as error:
                    queue.report(began_at, error)
                    delay = attempts.seconds_after(error)
                except BaseException:
                    queue.abandon()
                    raise
                else:
                    queue.report(began_at)
                    return value
            await asyncio.sleep(delay)

    async def attempt(self, call: Call[T], usage: Usage) -> T:
        """Make a call once and now."""
        self._begin(usage)
        return self._read(call, await self._exchange(build_request(call, self.settings)), usage)

    async def _exchange(self, request: Request) -> Answer | AlchemyError:
        from yarl import URL  # noqa: PLC0415 - see above

        body = bytearray()
        try:
            # Opening takes a while: calls that come meanwhile wait for this session and open none of their own.
            session = self._session
            if session is None:
                async with self._opening:
                    session = self._session = self._session or await self._open()
            # Not aiohttp's own time-out: it would count the wait for a connection, and where it is over at the same
            # moment as a time limit round the call, it swallows the cancellation by that one.
            async with (
                self._free,
                asyncio.timeout(self.settings.timeout),
                session.request(
                    request.method,
                    # Marked as encoded: aiohttp would take the URL apart and put it together anew for each poll.
                    URL(request.url, encoded=True),
                    headers=request.headers | self._proxy_headers,
                    data=request.body,
                    allow_redirects=False,
                    proxy=self._proxy_url,
                    proxy_headers=self._tunnel_headers,
                ) as response,
            ):
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        break
        except Exception as error:  # noqa: BLE001 - whatever an HTTP library raises may hold the URL, hence the key
            # Returned, not raised: an exception raised here would carry the library's as its context.
            return self._explain(error)
        return self._answer(response.status, body, response.headers)

    async def _open(self) -> aiohttp.ClientSession:
        import aiohttp  # noqa: PLC0415 - see above

        # A proxy reads the headers of plain requests. In a tunnel they are for the service alone.
        self._proxy_url, headers = split_proxy(self._proxy)
        is_tunnel = self.settings.base_url.startswith("https:")
        self._tunnel_headers, self._proxy_headers = (headers, {}) if is_tunnel else ({}, headers)
        # Reading the authorities from disk takes long enough to hold up the other triggers of the loop.
        context = await asyncio.to_thread(ssl_context, self.settings)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context, limit=self._connections),
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        )
        # aiohttp would send a GET again by itself after a reset: uncounted, outside the budget, and billed.
        session._retry_connection = False  # noqa: SLF001 - there is no public switch
        return session

    async def aclose(self) -> None:
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def proxy(settings: ClientSettings) -> str | None:
    """Give the settings' proxy, else the environment's, which is not used for this machine itself."""
    if settings.proxy or is_loopback(urlsplit(settings.base_url).hostname or ""):
        return settings.proxy
    from requests.utils import get_environ_proxies, select_proxy  # noqa: PLC0415 - see above

    return select_proxy(settings.base_url, get_environ_proxies(settings.base_url, no_proxy=None))


def split_proxy(proxy_url: str | None) -> tuple[str | None, dict[str, str]]:
    """
    Take user and password out of a proxy's URL, as requests does by itself, and give them as a header.

    aiohttp shows a proxy's URL, password included, where a connection to it is left unclosed.
    """
    from requests.utils import get_auth_from_url, urldefragauth  # noqa: PLC0415 - see above

    user, password = get_auth_from_url(proxy_url) if proxy_url else ("", "")
    if not proxy_url or not (user or password):
        return proxy_url, {}
    # Latin-1, as requests and aiohttp write it where they read it from the URL themselves.
    credentials = b64encode(f"{user}:{password}".encode("latin-1")).decode()
    return urldefragauth(proxy_url), {"Proxy-Authorization": f"Basic {credentials}"}


def authorities(settings: ClientSettings) -> bool | str:
    """Give what to check certificates against: a file (the settings', the environment's, else certifi's), or not."""
    verify = settings.verify
    if isinstance(verify, str) and not Path(verify).is_file():
        msg = f"field 'verify' of {settings.source} is {verify!r}, which is no file on this machine"
        raise AlchemyConfigurationError(
            msg, advice="Expected true, false, or a file with certificate authorities"
        ).without(settings.api_key)
    if verify is not True:
        return verify
    from requests.utils import DEFAULT_CA_BUNDLE_PATH  # noqa: PLC0415 - see above

    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or DEFAULT_CA_BUNDLE_PATH


def ssl_context(settings: ClientSettings) -> ssl.SSLContext | bool:
    """Make what aiohttp checks certificates with; it reads files: not for an event loop."""
    trusted = authorities(settings)
    if not settings.base_url.startswith("https:"):
        return True
    return ssl.create_default_context(cafile=trusted) if isinstance(trusted, str) else trusted
