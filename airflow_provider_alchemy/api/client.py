# SPDX-License-Identifier: Apache-2.0
"""The two clients, requests for threads and aiohttp for event loops: the only place that opens connections."""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode, urlsplit

import aiohttp
import requests
import stamina
from pendulum import DateTime, now
from requests.utils import (
    DEFAULT_CA_BUNDLE_PATH,
    get_auth_from_url,
    get_environ_proxies,
    select_proxy,
    urldefragauth,
)
from yarl import URL

from airflow_provider_alchemy.api import endpoints
from airflow_provider_alchemy.api.endpoints import (
    MOST_TOKENS,
    Call,
    PageKeys,
    Request,
    TokenCalls,
    TokenId,
    build_request,
    describe,
)
from airflow_provider_alchemy.api.errors import (
    AlchemyAddressError,
    AlchemyBadAnswerError,
    AlchemyConfigurationError,
    AlchemyError,
    AlchemyRateLimitError,
    AlchemyTimeoutError,
    AlchemyUnexpectedAnswerError,
)
from airflow_provider_alchemy.api.inputs import read_contract_address
from airflow_provider_alchemy.api.models import ContractMetadata, RefreshStatus, TokenMetadata, TokenPage, TokenRefresh
from airflow_provider_alchemy.api.redaction import URL_LOG, KeyFilter, Redactor
from airflow_provider_alchemy.api.responses import Answer, explain, is_billed, read_answer
from airflow_provider_alchemy.api.settings import ClientSettings, is_loopback
from airflow_provider_alchemy.api.throttle import Retrying, budget_of
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage, paid

T = TypeVar("T")


def proxy(settings: ClientSettings) -> str | None:
    """
    Tell which proxy to use.

    :param settings: The client's settings.
    :return: The URL of the settings' proxy, else of the environment's, which is not asked for this machine itself.
    """
    if settings.proxy or is_loopback(urlsplit(settings.base_url).hostname or ""):
        return settings.proxy
    return select_proxy(settings.base_url, get_environ_proxies(settings.base_url, no_proxy=None))


@dataclass(frozen=True)
class ProxyWay:
    """
    A way through a proxy whose URL may be shown.

    aiohttp shows a proxy's URL, user and password included, where a connection to it is left unclosed.

    :param url: The proxy, without user and password; None: there is no proxy.
    :param request_headers: What the proxy wants to see, on requests that it reads itself.
    :param tunnel_headers: The same, for a tunnel to a host with TLS, whose requests are not for the proxy's eyes.
    """

    url: str | None = None
    request_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    tunnel_headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def proxy_way(proxy_url: str | None, base_url: str) -> ProxyWay:
    """
    Take user and password out of a proxy's URL, as requests does by itself.

    :param proxy_url: The proxy's URL; None: there is no proxy.
    :param base_url: The service's.
    :return: The way.
    :raises UnicodeEncodeError: User or password has characters that no header can carry.
    """
    user, password = get_auth_from_url(proxy_url) if proxy_url else ("", "")
    if not proxy_url or not (user or password):
        return ProxyWay(proxy_url)
    # Latin-1, as requests and aiohttp write it where they read it from the URL themselves.
    credentials = b64encode(f"{user}:{password}".encode("latin-1")).decode()
    headers = {"Proxy-Authorization": f"Basic {credentials}"}
    url = urldefragauth(proxy_url)
    return ProxyWay(url, tunnel_headers=headers) if base_url.startswith("https:") else ProxyWay(url, headers)


def authorities(settings: ClientSettings) -> bool | str:
    """
    Tell what to check certificates against.

    :param settings: The client's settings.
    :return: A file: the settings', else the environment's, else certifi's. True or False as the settings say.
    :raises AlchemyConfigurationError: The settings' file is none.
    """
    verify = settings.verify
    if isinstance(verify, str) and not Path(verify).is_file():
        msg = f"field 'verify' of {settings.source} is {verify!r}, which is no file on this machine"
        raise AlchemyConfigurationError(
            msg, advice="Expected true, false, or a file with certificate authorities"
        ).without(settings.api_key)
    if verify is not True:
        return verify
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
    return bundle or DEFAULT_CA_BUNDLE_PATH


def ssl_context(settings: ClientSettings) -> ssl.SSLContext | bool:
    """
    Make what aiohttp checks certificates with. It reads files: not for an event loop.

    :param settings: The client's settings.
    :return: A context, or False for no check; True for hosts without TLS, which need none.
    :raises AlchemyConfigurationError: The settings' file is none.
    """
    trusted = authorities(settings)
    if not settings.base_url.startswith("https:"):
        return True
    return ssl.create_default_context(cafile=trusted) if isinstance(trusted, str) else trusted


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

    def _begin(self, usage: Usage | None) -> float:
        """Count a request; give the moment at which it begins, in monotonic seconds."""
        if usage is not None:
            usage.calls += 1
            usage.first_call_at = usage.first_call_at or now("UTC")
        return time.monotonic()

    def _read(self, call: Call[T], outcome: Answer | AlchemyError, usage: Usage | None, started_at: float) -> T:
        """Bill a request and read its outcome."""
        if usage is not None:
            usage.compute_units += call.endpoint.compute_units if _was_billed(outcome) else 0
        try:
            if isinstance(outcome, AlchemyError):
                raise outcome
            return call.read(read_answer(outcome))
        except AlchemyError as error:
            if isinstance(error, AlchemyRateLimitError):
                self._budget.slow_down(started_at, time.monotonic())
                if usage is not None:
                    usage.throttled += 1
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
        usage: Usage | None = None,
        max_attempts: int | None = None,
        deadline: DateTime | None = None,
    ) -> T:
        """
        Make a call, within the budget and with retries.

        :param call: The call.
        :param usage: Counts the requests and units, also where the call fails.
        :param max_attempts: Attempts; default: the connection's.
        :param deadline: No sleep outlasts it.
        :return: The call's value.
        :raises AlchemyError: What went wrong.
        """
        for attempt in self._retry_context(max_attempts, deadline):
            with attempt:
                time.sleep(self._start_in(call, deadline))
                started_at = self._begin(usage)
                outcome = self._exchange(build_request(call, self.settings))
                return self._read(call, outcome, usage, started_at)
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
        # aiohttp's time-out would count the wait for a connection too.
        self._free = asyncio.Semaphore(connections)

    async def send(
        self,
        call: Call[T],
        *,
        usage: Usage | None = None,
        max_attempts: int | None = None,
        deadline: DateTime | None = None,
        spending_limit: SpendingLimit | None = None,
        is_patient: bool = False,
    ) -> T:
        """
        Make a call, within the budget and with retries.

        :param call: The call.
        :param usage: Counts the requests and units, also where the call fails.
        :param max_attempts: Attempts; default: the connection's.
        :param deadline: No sleep outlasts it.
        :param spending_limit: What it may cost: each attempt is paid for before it is made. Default: any amount.
        :param is_patient: Whether an answer that the API reference does not know is worth another attempt.
        :return: The call's value.
        :raises AlchemyError: What went wrong.
        """
        async for attempt in self._retry_context(max_attempts, deadline, is_patient=is_patient):
            with (
                attempt,
                paid(call.endpoint.compute_units, spending_limit or SpendingLimit(), usage or Usage()) as spent,
            ):
                await asyncio.sleep(self._start_in(call, deadline))
                return await self.attempt(call, usage=spent)
        msg = "stamina ends with a value or an error"
        raise AssertionError(msg)

    async def attempt(self, call: Call[T], *, usage: Usage | None = None) -> T:
        """
        Make a call once and now: for callers that keep the budget and the retries themselves.

        :param call: The call.
        :param usage: Counts the request and its units, also where the call fails.
        :return: The call's value.
        :raises AlchemyError: What went wrong.
        """
        started_at = self._begin(usage)
        outcome = await self._exchange(build_request(call, self.settings))
        return self._read(call, outcome, usage, started_at)

    async def _exchange(self, request: Request) -> Answer | AlchemyError:
        try:
            return await self._fetch(request)
        except Exception as error:  # noqa: BLE001 - whatever an HTTP library raises may hold the URL, hence the key
            # Returned, not raised: an exception raised here would carry the library's as its context.
            return explain(error, self.settings, self._host, through_proxy=bool(self._proxy))

    async def _fetch(self, request: Request) -> Answer | AlchemyError:
        # Built here and marked as encoded: aiohttp would take the URL apart and put it together anew for each poll.
        url = URL(f"{request.url}?{urlencode(request.params)}" if request.params else request.url, encoded=True)
        async with (
            self._free,
            (self._session or await self._open_once()).request(
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


def _was_billed(outcome: Answer | AlchemyError) -> bool:
    """An answer tells by its status; where none or not all came, the request was sent and may well be billed."""
    if isinstance(outcome, Answer):
        return is_billed(outcome.http_status)
    return isinstance(outcome, AlchemyTimeoutError | AlchemyBadAnswerError | AlchemyUnexpectedAnswerError)


class TokenClient:
    """The endpoints of single tokens, for threads."""

    _calls: TokenCalls
    _transport: SyncTransport

    def refresh_nft_metadata(
        self, contract_address: str, token_id: TokenId, *, usage: Usage | None = None
    ) -> TokenRefresh:
        """
        Queue the refresh of a token (``refreshNftMetadata``, 40 compute units).

        Alchemy refreshes a token once in 15 minutes, over all users, and says "Queued" to what changes nothing: the
        proof is a later ``time_last_updated``.

        :param contract_address: The collection's contract.
        :param token_id: The token's id: an int, or decimal or hexadecimal digits.
        :param usage: Counts requests and units, also where the call fails.
        :return: What the service says to it.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent.
        """
        return self._transport.send(self._calls.refresh_nft_metadata(contract_address, token_id), usage=usage)

    def get_nft_metadata(
        self,
        contract_address: str,
        token_id: TokenId,
        *,
        refresh: bool = False,
        uri_timeout_ms: int | None = None,
        usage: Usage | None = None,
    ) -> TokenMetadata:
        """
        Read what Alchemy knows of a token (``getNFTMetadata``, 80 compute units).

        :param contract_address: The collection's contract.
        :param token_id: The token's id: an int, or decimal or hexadecimal digits.
        :param refresh: Whether to refresh it first (``refreshCache``). Default False.
        :param uri_timeout_ms: How long the service may wait for the token's URI; 0: what it knows. Default: its own.
        :param usage: Counts requests and units, also where the call fails.
        :return: The token's metadata. Where it could not be refreshed, its ``error`` says why.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent.
        """
        call = self._calls.get_nft_metadata(contract_address, token_id, refresh=refresh, uri_timeout_ms=uri_timeout_ms)
        return self._transport.send(call, usage=usage)

    def get_nft_metadata_batch(
        self,
        contract_address: str,
        token_ids: Iterable[TokenId],
        *,
        refresh: bool = False,
        uri_timeout_ms: int | None = None,
        usage: Usage | None = None,
    ) -> dict[int, TokenMetadata]:
        """
        Read what Alchemy knows of up to 100 tokens (``getNFTMetadataBatch``, 480 compute units).

        :param contract_address: The collection's contract.
        :param token_ids: The tokens' ids, 1 to 100.
        :param refresh: Whether to refresh them first (``refreshCache``). Default False.
        :param uri_timeout_ms: How long the service may wait for a token's URI; 0: what it knows. Default: its own.
        :param usage: Counts requests and units, also where the call fails.
        :return: The metadata by token id; tokens that the answer leaves out are not in it.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent.
        """
        call = self._calls.get_nft_metadata_batch(
            contract_address, token_ids, refresh=refresh, uri_timeout_ms=uri_timeout_ms
        )
        return self._transport.send(call, usage=usage)

    def get_nfts_for_contract(
        self,
        contract_address: str,
        *,
        with_metadata: bool = False,
        start_token: TokenId | None = None,
        page_size: int = MOST_TOKENS,
        usage: Usage | None = None,
    ) -> Iterator[TokenPage]:
        """
        Read a collection's tokens page by page (``getNFTsForContract``, 600 compute units a page).

        :param contract_address: The collection's contract.
        :param with_metadata: Whether to read what is known of each token too. Default False: ids are a tenth of it.
        :param start_token: Where to begin: a token id, or the ``next_key`` of a page. Default: the first token.
        :param page_size: Tokens in a page, 1 to 100. Default 100, because each page costs the same.
        :param usage: Counts requests and units, also where a call fails.
        :return: The pages; each is asked for when it is taken.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent;
            AlchemyUnexpectedAnswerError where a page names one that was read before.
        """
        keys, key = PageKeys(start_token), start_token
        while True:
            page = self._transport.send(
                self._calls.get_nfts_for_contract(
                    contract_address, start_token=key, with_metadata=with_metadata, page_size=page_size
                ),
                usage=usage,
            )
            keys.check(page, describe(contract_address, self._transport.settings))
            yield page
            if page.next_key is None:
                return
            key = page.next_key

    def get_contract_metadata_batch(
        self, contract_addresses: Sequence[str], *, usage: Usage | None = None
    ) -> dict[str, ContractMetadata]:
        """
        Read what Alchemy knows of up to 100 contracts (``getContractMetadataBatch``, 480 compute units).

        :param contract_addresses: The contracts, 1 to 100.
        :param usage: Counts requests and units, also where the call fails.
        :return: The metadata by contract in lower case; contracts that the answer leaves out are not in it.
        :raises AlchemyError: What went wrong; AlchemyArgumentError before anything is sent.
        """
        return self._transport.send(self._calls.get_contract_metadata_batch(contract_addresses), usage=usage)


class AsyncTokenClient:
    """The endpoints of single tokens, for event loops: the same calls as ``TokenClient``."""

    _calls: TokenCalls
    _transport: AsyncTransport

    async def refresh_nft_metadata(
        self, contract_address: str, token_id: TokenId, *, usage: Usage | None = None
    ) -> TokenRefresh:
        """Do what ``TokenClient.refresh_nft_metadata`` does."""
        return await self._transport.send(self._calls.refresh_nft_metadata(contract_address, token_id), usage=usage)

    async def get_nft_metadata(
        self,
        contract_address: str,
        token_id: TokenId,
        *,
        refresh: bool = False,
        uri_timeout_ms: int | None = None,
        usage: Usage | None = None,
    ) -> TokenMetadata:
        """Do what ``TokenClient.get_nft_metadata`` does."""
        call = self._calls.get_nft_metadata(contract_address, token_id, refresh=refresh, uri_timeout_ms=uri_timeout_ms)
        return await self._transport.send(call, usage=usage)

    async def get_nft_metadata_batch(
        self,
        contract_address: str,
        token_ids: Iterable[TokenId],
        *,
        refresh: bool = False,
        uri_timeout_ms: int | None = None,
        usage: Usage | None = None,
    ) -> dict[int, TokenMetadata]:
        """Do what ``TokenClient.get_nft_metadata_batch`` does."""
        call = self._calls.get_nft_metadata_batch(
            contract_address, token_ids, refresh=refresh, uri_timeout_ms=uri_timeout_ms
        )
        return await self._transport.send(call, usage=usage)

    async def get_nfts_for_contract(
        self,
        contract_address: str,
        *,
        with_metadata: bool = False,
        start_token: TokenId | None = None,
        page_size: int = MOST_TOKENS,
        usage: Usage | None = None,
    ) -> AsyncIterator[TokenPage]:
        """Do what ``TokenClient.get_nfts_for_contract`` does."""
        keys, key = PageKeys(start_token), start_token
        while True:
            page = await self._transport.send(
                self._calls.get_nfts_for_contract(
                    contract_address, start_token=key, with_metadata=with_metadata, page_size=page_size
                ),
                usage=usage,
            )
            keys.check(page, describe(contract_address, self._transport.settings))
            yield page
            if page.next_key is None:
                return
            key = page.next_key

    async def get_contract_metadata_batch(
        self, contract_addresses: Sequence[str], *, usage: Usage | None = None
    ) -> dict[str, ContractMetadata]:
        """Do what ``TokenClient.get_contract_metadata_batch`` does."""
        return await self._transport.send(self._calls.get_contract_metadata_batch(contract_addresses), usage=usage)


class AlchemyClient(TokenClient):
    """
    Alchemy's NFT API for threads.

    :param settings: Whose account, and the way to it.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._calls = TokenCalls(settings)
        self._transport = SyncTransport(settings)

    def reingest_contract(
        self,
        contract_address: str,
        *,
        usage: Usage | None = None,
        max_attempts: int | None = None,
        deadline: DateTime | None = None,
    ) -> RefreshStatus:
        """
        Submit the refresh of a collection, or join and report the one that runs (480 compute units).

        After the first answer that ends a refresh do not call again: whether that starts a new one is not known.

        :param contract_address: The collection's contract.
        :param usage: Counts requests and units, also where the call fails.
        :param max_attempts: Attempts; default: the settings'.
        :param deadline: No sleep between attempts outlasts it.
        :return: The refresh's status.
        :raises AlchemyError: What went wrong; AlchemyAddressError before anything is sent.
        """
        address = _read_address(contract_address, self.settings)
        call = endpoints.reingest_contract(address, self.settings)
        return self._transport.send(call, usage=usage, max_attempts=max_attempts, deadline=deadline)

    def get_contract_metadata(self, contract_address: str, *, usage: Usage | None = None) -> ContractMetadata:
        """
        Read what Alchemy knows of a contract, without any side effect (160 compute units).

        :param contract_address: The contract.
        :param usage: Counts requests and units, also where the call fails.
        :return: The contract's metadata.
        :raises AlchemyError: What went wrong; AlchemyAddressError before anything is sent.
        """
        address = _read_address(contract_address, self.settings)
        return self._transport.send(endpoints.get_contract_metadata(address, self.settings), usage=usage)

    def close(self) -> None:
        """Close the HTTP session."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncAlchemyClient(AsyncTokenClient):
    """
    Alchemy's NFT API for event loops: the same calls as ``AlchemyClient``.

    :param settings: Whose account, and the way to it.
    :param connections: How many connections it keeps at most. Default 100, aiohttp's.
    """

    def __init__(self, settings: ClientSettings, *, connections: int = 100) -> None:
        self.settings = settings
        self._calls = TokenCalls(settings)
        self._transport = AsyncTransport(settings, connections)

    async def send(
        self,
        call: Call[T],
        *,
        usage: Usage,
        max_attempts: int,
        spending_limit: SpendingLimit | None = None,
        deadline: Any = None,
        retries_unexpected: bool = False,
        is_patient: bool = False,
    ) -> T:
        """Make any call of this API."""
        return await self._transport.send(
            call,
            usage=usage,
            max_attempts=max_attempts,
            spending_limit=spending_limit or SpendingLimit(),
            deadline=deadline,
            is_patient=is_patient or retries_unexpected,
        )

    async def reingest_contract(
        self,
        contract_address: str,
        *,
        usage: Usage | None = None,
        max_attempts: int | None = None,
        deadline: DateTime | None = None,
    ) -> RefreshStatus:
        """Do what ``AlchemyClient.reingest_contract`` does."""
        address = _read_address(contract_address, self.settings)
        call = endpoints.reingest_contract(address, self.settings)
        return await self._transport.send(call, usage=usage, max_attempts=max_attempts, deadline=deadline)

    async def reingest_contract_once(self, contract_address: str, *, usage: Usage | None = None) -> RefreshStatus:
        """
        Do what ``reingest_contract`` does, once and now: for a poller, which keeps budget and retries itself.

        :param contract_address: The contract, checked and in lower case.
        :param usage: Counts the request and its units, also where the call fails.
        :return: The refresh's status.
        :raises AlchemyError: What went wrong.
        """
        return await self._transport.attempt(endpoints.reingest_contract(contract_address, self.settings), usage=usage)

    async def get_contract_metadata(self, contract_address: str, *, usage: Usage | None = None) -> ContractMetadata:
        """Do what ``AlchemyClient.get_contract_metadata`` does."""
        address = _read_address(contract_address, self.settings)
        return await self._transport.send(endpoints.get_contract_metadata(address, self.settings), usage=usage)

    async def aclose(self) -> None:
        """Close the HTTP session."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()


def _read_address(contract_address: str, settings: ClientSettings) -> str:
    try:
        return read_contract_address(contract_address)
    except AlchemyAddressError as error:
        raise error.without(settings.api_key) from None
