# SPDX-License-Identifier: Apache-2.0
"""The emulator as an object: a thread with an event loop and an HTTP(S) server, round the emulated service."""

from __future__ import annotations

import asyncio
import socket
import ssl
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import Thread
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from airflow_provider_alchemy.testing.app import HTTP_LOG, handle
from airflow_provider_alchemy.testing.jobs import JobPlan
from airflow_provider_alchemy.testing.keys import ApiKeys
from airflow_provider_alchemy.testing.settings import Settings
from airflow_provider_alchemy.testing.state import ServiceState
from airflow_provider_alchemy.testing.steering import Steering

LOOPBACK = "127.0.0.1"
SHUTDOWN_SECONDS = 2.0
"""How long a stopping server waits for an answer that is being sent."""
BACKLOG = 1024
"""Connections that may wait to be accepted: a burst of many tasks must not be refused by the emulator's own
socket."""


class AlchemyEmulator(Steering):
    """An HTTP server that behaves like Alchemy's NFT API, for tests and trials without an account.

    A context manager; :meth:`start` and :meth:`stop` do the same. It answers under ``{url}/nft/…`` for
    ``eth-mainnet`` and under ``{url}/{network}/nft/…`` for any network, and the JSON-RPC of the node API under
    ``{url}/v2/…`` and ``{url}/{network}/v2/…``. What it knows is in Alchemy's API reference; what that leaves open is
    a switch.

    :param port: TCP port; 0, the default: a free one, so that tests can run side by side.
    :param host: address to listen on; loopback by default, because the control interface asks for no key.
    :param api_keys: the accepted keys; None, the default: one random key; ``ANY_KEY``: any non-empty one.
    :param default_job: what a collection without a plan does; the default runs for one second.
    :param seed: seed of the dice for faults with a probability, and of the chains' hashes; fixed by default, so that
        a test repeats.
    :param ssl_context: the server's certificate and private key, to serve ``https``; None, the default: plain
        ``http``. An Airflow connection trusts a certificate of one's own with ``verify``, the file of the authority
        that signed it, in its extra.
    :param switches: fields of :class:`~airflow_provider_alchemy.testing.settings.Settings`, such as
        ``units_per_second=300``, ``retry_after=None``, ``header_auth_v2=True``, ``after_finished="report"``
        and ``speed=1.0``.
    :raises ValueError: an unknown switch, or a value that is not accepted.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = LOOPBACK,
        api_keys: ApiKeys = None,
        default_job: JobPlan | None = None,
        seed: int = 0,
        ssl_context: ssl.SSLContext | None = None,
        **switches: Any,
    ) -> None:
        settings = Settings().changed(**switches)
        super().__init__(ServiceState(settings, default_job or JobPlan(), api_keys, seed))
        self._host = host
        self._port = port
        self._ssl_context = ssl_context
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    def __repr__(self) -> str:
        return f"<AlchemyEmulator on {self._host}:{self._port}, {'running' if self._thread else 'stopped'}>"

    @property
    def url(self) -> str:
        """The base URL, such as ``http://127.0.0.1:43121``, or ``https://…`` where it serves TLS.

        A stop and a new start do not change it.

        :raises RuntimeError: the port is not known before the first start.
        """
        if self._port == 0:
            msg = "The emulator has no port yet: start it first"
            raise RuntimeError(msg)
        return f"{'https' if self._ssl_context else 'http'}://{self._host}:{self._port}"

    def start(self) -> Self:
        """Start the server, on the same port as before if it ran before.

        :return: the emulator.
        :raises OSError: the port is taken or may not be used.
        :raises RuntimeError: it is running already.
        """
        if self._thread is not None:
            msg = "The emulator is running already"
            raise RuntimeError(msg)
        listener = socket.create_server((self._host, self._port), backlog=BACKLOG)
        self._port = listener.getsockname()[1]
        started: Future[None] = Future()
        self._thread = Thread(
            target=self._run, args=(listener, started), name=f"alchemy-emulator-{self._port}", daemon=True
        )
        self._thread.start()
        try:
            started.result()
        except BaseException:
            self._thread = None
            raise
        return self

    def stop(self) -> None:
        """Stop the server and wait until its thread has ended; calls that hang are reset.

        Harmless when it is not running.
        """
        if self._thread is None or self._loop is None or self._stopping is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = self._loop = self._stopping = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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
        self._stopping = stopping = asyncio.Event()
        http = web.Server(
            partial(handle, steering=self, state=self._state, stopping=stopping),
            # Without it, a call that hangs outlives its client.
            handler_cancellation=True,
            access_log=None,
            logger=HTTP_LOG,
        )

        def accept() -> RequestHandler:
            with self._state.lock:
                self._state.connections += 1
            return http()

        server = await self._loop.create_server(
            accept,
            sock=listener,
            backlog=BACKLOG,
            ssl=self._ssl_context,
        )
        started.set_result(None)
        await stopping.wait()
        server.close()
        http.pre_shutdown()
        encrypted = [handler.transport for handler in http.connections if handler.transport and self._ssl_context]
        await http.shutdown(SHUTDOWN_SECONDS)
        for transport in encrypted:
            # Closed, it would go on waiting for the client's last word, which an idle one never says.
            transport.abort()
        # A client that connected and never began its TLS handshake would hold the end up for a minute.
        with suppress(TimeoutError):
            await asyncio.wait_for(server.wait_closed(), SHUTDOWN_SECONDS)
