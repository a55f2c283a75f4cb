# SPDX-License-Identifier: Apache-2.0
"""The emulator as an object: a thread with an event loop and an HTTP(S) server, round the emulated account.

The only module that touches a connection: an answer goes out whole, late, in pieces, cut short, or not at all. One log
line for each call is put together from what was understood, never from the path, so that no key can slip in.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import struct
import time
import traceback
from collections.abc import Iterable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any, Self

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from airflow_provider_alchemy.testing.account import Account
from airflow_provider_alchemy.testing.calls import MASK, UNKNOWN_ENDPOINT, Auth, Call
from airflow_provider_alchemy.testing.checks import is_address
from airflow_provider_alchemy.testing.control import PREFIX, Steering, control
from airflow_provider_alchemy.testing.exchange import Answer
from airflow_provider_alchemy.testing.faults import Fault, FaultKind
from airflow_provider_alchemy.testing.jobs import JobPlan
from airflow_provider_alchemy.testing.routing import ApiRequest, read_request
from airflow_provider_alchemy.testing.settings import Settings

LOG = logging.getLogger(__name__)
HTTP_LOG = logging.getLogger(f"{__name__}.http")  # what aiohttp writes of malformed requests and failed handlers

LOOPBACK = "127.0.0.1"
SHUTDOWN_SECONDS = 2.0  # for an answer that is being sent
BACKLOG = 1024  # a burst of many tasks must not be refused by the emulator's own socket
_LINGER_ZERO = struct.pack("ii", 1, 0)  # l_onoff and l_linger: closing then sends RST instead of FIN


def _without_exception_text(record: logging.LogRecord) -> bool:
    # aiohttp logs the exception, and that of a malformed request quotes the request line, key included.
    if record.exc_info and record.exc_info[0]:
        frames = "".join(traceback.format_tb(record.exc_info[2]))
        record.msg, record.args = "%s: %s\n%s", (record.getMessage(), record.exc_info[0].__name__, frames)
        record.exc_info = None
    return True


HTTP_LOG.addFilter(_without_exception_text)


def _log_line(request: ApiRequest, call: Call) -> str:
    key = f"/{MASK}" if call.auth is Auth.PATH else ""
    if request.is_rpc:
        contracts = f"{call.addresses} contracts" if call.addresses else "every contract"
        asked = f" in blocks {call.blocks[0]} to {call.blocks[1]} of {contracts}" if call.blocks else ""
        target = f"/{call.network}/{request.version}{key} {call.endpoint}{asked}"
    elif call.endpoint == UNKNOWN_ENDPOINT:
        target = "(unknown path)"
    else:
        address = call.contract_address if is_address(call.contract_address) else "(no address)"
        target = f"/{call.network}/nft/{request.version}{key}/{call.endpoint}?contractAddress={address}"
    state = f" {call.state}" if call.state else ""
    tokens = f", {len(call.token_ids)} tokens" if call.token_ids else ""
    return f"{request.method} {target}: {call.http_status or 'no answer'}{state}{tokens}, {call.compute_units} units"


class AlchemyEmulator(Steering):
    """An HTTP server that behaves like Alchemy's NFT API, for tests and trials without an account.

    A context manager; :meth:`start` and :meth:`stop` do the same. It answers under ``{url}/nft/…`` for ``eth-mainnet``
    and under ``{url}/{network}/nft/…`` for any network, and the JSON-RPC of the node API under ``{url}/v2/…`` and
    ``{url}/{network}/v2/…``. What it knows is in Alchemy's API reference; what that leaves open is a switch.

    :param port: TCP port; default 0: a free one, so that tests can run side by side.
    :param host: address to listen on; default loopback, because the control interface asks for no key.
    :param api_keys: the accepted keys; default: one random key; ``ANY_KEY``: any non-empty one.
    :param default_job: what a collection without a plan does; default: it runs for one second.
    :param seed: seed of the dice for faults with a probability, and of the chains' hashes; a test repeats by default.
    :param ssl_context: the server's certificate and private key, to serve ``https``; default: plain ``http``. In the
        extra of an Airflow connection, ``verify`` names the file of the authority to trust.
    :param switches: fields of ``Settings``, such as ``units_per_second=300``, ``batch_form="array"`` and ``speed=10``.
    :raises ValueError: an unknown switch, or a value that is not accepted.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = LOOPBACK,
        api_keys: Iterable[str] | None = None,
        default_job: JobPlan | None = None,
        seed: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        **switches: Any,
    ) -> None:
        super().__init__(Account(Settings(**switches), default_job or JobPlan(), api_keys, seed))
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    @property
    def url(self) -> str:
        """The base URL, such as ``http://127.0.0.1:43121``; known from the first start on, and kept by later ones."""
        if self._port == 0:
            msg = "The emulator has no port yet: start it first"
            raise RuntimeError(msg)
        return f"{'https' if self._ssl_context else 'http'}://{self._host}:{self._port}"

    def start(self) -> Self:
        """Start the server, on the same port as before if it ran before.

        :raises OSError: the port is taken or may not be used.
        :raises RuntimeError: it is running already.
        """
        if self._thread is not None:
            msg = "The emulator is running already"
            raise RuntimeError(msg)
        listener = socket.create_server((self._host, self._port), backlog=BACKLOG)
        self._port = listener.getsockname()[1]
        started: Future[None] = Future()
        name = f"alchemy-emulator-{self._port}"
        self._thread = Thread(target=self._run, args=(listener, started), name=name, daemon=True)
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self._thread = None
            raise
        return self

    def stop(self) -> None:
        """Stop the server, if it runs, and wait until its thread has ended; calls that hang are reset."""
        if self._thread is None or self._loop is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = self._loop = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def _run(self, listener: socket.socket, started: Future[None]) -> None:
        try:
            with listener:
                asyncio.run(self._serve(listener, started))
        except BaseException as error:
            if started.done():
                raise
            # The thread that called start() waits for this, and raises it there.
            started.set_exception(error)

    async def _serve(self, listener: socket.socket, started: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        # Without cancellation, a call that hangs outlives its client.
        http = web.Server(self._handle, handler_cancellation=True, access_log=None, logger=HTTP_LOG)

        def accept() -> RequestHandler:
            with self._account.lock:
                self._account.connections += 1
            return http()

        server = await self._loop.create_server(accept, sock=listener, backlog=BACKLOG, ssl=self._ssl_context)
        started.set_result(None)
        await self._stopping.wait()
        server.close()
        http.pre_shutdown()
        encrypted = [handler.transport for handler in http.connections if handler.transport and self._ssl_context]
        await http.shutdown(SHUTDOWN_SECONDS)
        for transport in encrypted:
            # Closed, it would wait for the client's close_notify, which an idle one never sends.
            transport.abort()
        # A client that connected and never began its TLS handshake would hold the end up for a minute.
        with suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), SHUTDOWN_SECONDS)

    async def _handle(self, http_request: web.BaseRequest) -> web.StreamResponse:
        body = await http_request.read()
        method, path = http_request.method, http_request.path
        if path.startswith(PREFIX):
            status, payload = control(self, method, path, dict(http_request.query), body)
            return web.json_response(payload, status=status)
        request = read_request(method, path, http_request.query, http_request.headers.get("Authorization"), body)
        answer, fault, call = self._account.handle(request, time.time())
        LOG.info("%s", _log_line(request, call))
        await self._wait(self._account.settings.latency_seconds)
        if fault and fault.kind is FaultKind.HANG:
            await self._stopping.wait()
        if answer is None:
            return _reset(http_request)
        if fault and fault.kind in {FaultKind.CUT, FaultKind.DRIP}:
            return await self._send_bytes(http_request, answer, fault)
        if fault and fault.kind is FaultKind.SLOW:
            await self._wait(fault.seconds)
        kind, headers = answer.content_type, answer.headers
        return web.Response(status=answer.status, body=answer.body, content_type=kind, headers=headers)

    async def _send_bytes(self, http_request: web.BaseRequest, answer: Answer, fault: Fault) -> web.StreamResponse:
        """Announce the whole body, and send half of it, or all of it byte by byte."""
        response = web.StreamResponse(status=answer.status, headers=answer.headers)
        response.content_type, response.content_length = answer.content_type, len(answer.body)
        await response.prepare(http_request)
        if fault.kind is FaultKind.CUT:
            await response.write(answer.body[: len(answer.body) // 2])
            if http_request.transport is not None:
                http_request.transport.close()
            return response
        for index in range(len(answer.body)):
            await response.write(answer.body[index : index + 1])
            await self._wait(fault.seconds)
            if self._stopping.is_set():
                return _reset(http_request)
        return response

    async def _wait(self, seconds: float) -> None:
        """Wait, but no longer than the server runs: a late answer must not hold its stop up."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), seconds)


def _reset(http_request: web.BaseRequest) -> web.StreamResponse:
    if http_request.transport is not None:
        connection = http_request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        http_request.transport.abort()
    # aiohttp wants a response; on the closed connection it goes nowhere.
    return web.Response()
