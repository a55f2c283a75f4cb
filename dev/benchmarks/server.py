# SPDX-License-Identifier: Apache-2.0
"""
The service that all sides poll: over TLS, with one model of jobs, and the three answers that they understand.

A process of its own. It counts, for each side, the requests and the TLS connections that carried them, gives the
counts at ``/counters``, and forgets them, and all jobs, at ``/begin``.
"""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TextIO
from weakref import WeakSet

from aiohttp import web

from dev.benchmarks.children import allow_many_connections, end_with_the_starter, open_channel, say
from dev.benchmarks.jobs import JobClock

BACKLOG = 4096
"""Connections that may wait to be accepted: a burst must not be refused by the server's own socket."""
DBT_RUNNING, DBT_SUCCESS = 3, 10
"""Two states of a run in dbt Cloud's API."""


@dataclass
class Tally:
    """
    What one side has sent.

    :param requests: Its requests.
    :param connections: The TLS connections that carried them.
    """

    requests: int = 0
    connections: int = 0
    _known: WeakSet[ssl.SSLObject] = field(default_factory=WeakSet, repr=False)

    def count(self, connection: ssl.SSLObject) -> None:
        """
        Count a request.

        :param connection: The TLS connection that it came on.
        """
        self.requests += 1
        if connection not in self._known:
            self._known.add(connection)
            self.connections += 1


class PolledService:
    """The service: its jobs, its counts and its answers."""

    def __init__(self) -> None:
        self._begin(1.0)

    def _begin(self, seconds: float) -> None:
        self._jobs = JobClock(seconds)
        self._tallies: dict[str, Tally] = {}

    def application(self) -> web.Application:
        """
        Give the service's routes.

        :return: The application for aiohttp to serve.
        """
        application = web.Application()
        application.add_routes(
            [
                web.get("/nft/v2/{key}/reingestContract", self._alchemy),
                web.get("/jobs/{name}", self._http),
                web.get("/api/v2/accounts/{account}/runs/{name}/", self._dbt_cloud),
                web.post("/begin", self._begin_anew),
                web.get("/counters", self._counters),
            ]
        )
        return application

    async def _alchemy(self, request: web.Request) -> web.Response:
        address = request.query["contractAddress"]
        share = self._ask("alchemy", address, request)
        state, progress = ("finished", None) if share == 1 else ("in_progress", str(int(100 * share)))
        return web.json_response({"contractAddress": address, "reingestionState": state, "progress": progress})

    async def _http(self, request: web.Request) -> web.Response:
        share = self._ask("http", request.match_info["name"], request)
        return web.Response(status=HTTPStatus.OK if share == 1 else HTTPStatus.NOT_FOUND)

    async def _dbt_cloud(self, request: web.Request) -> web.Response:
        run = request.match_info["name"]
        share = self._ask("dbt_cloud", run, request)
        status = DBT_SUCCESS if share == 1 else DBT_RUNNING
        data = {"id": int(run), "account_id": int(request.match_info["account"]), "status": status}
        return web.json_response({"status": {"code": 200, "is_success": True}, "data": data})

    def _ask(self, side: str, name: str, request: web.Request) -> float:
        if request.transport is not None:
            connection: ssl.SSLObject = request.transport.get_extra_info("ssl_object")
            self._tallies.setdefault(side, Tally()).count(connection)
        return self._jobs.share_done(f"{side}:{name}", time.monotonic())

    async def _begin_anew(self, request: web.Request) -> web.Response:
        self._begin(float(request.query["seconds"]))
        return web.Response()

    async def _counters(self, _request: web.Request) -> web.Response:
        counts = {
            side: {"requests": tally.requests, "connections": tally.connections}
            for side, tally in self._tallies.items()
        }
        return web.json_response(counts)


async def serve(context: ssl.SSLContext, announce: Callable[[int], None]) -> None:
    """
    Serve until this task is cancelled.

    :param context: The server's certificate and key.
    :param announce: Told the port as soon as it listens.
    """
    runner = web.AppRunner(PolledService().application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context, backlog=BACKLOG).start()
        announce(runner.addresses[0][1])
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


def main(argv: Sequence[str] | None = None) -> int:
    """
    Serve until the starter is gone; the first message to it is the port.

    :param argv: The command line's arguments; default: this process's.
    :return: The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m dev.benchmarks.server", description=__doc__)
    parser.add_argument("--certificate", required=True, help="the server's certificate (PEM)")
    parser.add_argument("--private-key", required=True, help="its private key (PEM)")
    arguments = parser.parse_args(argv)
    channel: TextIO = open_channel()
    end_with_the_starter()
    allow_many_connections()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.certificate, arguments.private_key)

    def announce(port: int) -> None:
        message: dict[str, Any] = {"port": port}
        say(channel, message)

    asyncio.run(serve(context, announce))
    return 0


if __name__ == "__main__":
    sys.exit(main())
