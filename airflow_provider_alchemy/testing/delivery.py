# SPDX-License-Identifier: Apache-2.0
"""How an answer goes out: whole, late, in pieces, cut short, or not at all.

The only module that touches a connection: everything before it is values, and tested as such.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web

from airflow_provider_alchemy.testing.answers import Answer
from airflow_provider_alchemy.testing.faults import FaultKind
from airflow_provider_alchemy.testing.processing import Decision

# l_onoff and l_linger of struct linger: closing then sends RST instead of FIN.
_LINGER_ZERO = struct.pack("ii", 1, 0)


async def deliver(
    request: web.BaseRequest, decision: Decision, stopping: asyncio.Event, latency_seconds: float
) -> web.StreamResponse:
    """Send what was decided.

    :param request: the HTTP request.
    :param decision: the answer, and the fault that changes how it is sent.
    :param stopping: set when the server stops; it ends every wait, so that a hanging call does not hold the
        server up.
    :param latency_seconds: how long every answer waits before it goes out.
    :return: the response for aiohttp to finish.
    """
    if latency_seconds > 0:
        await _wait(latency_seconds, stopping)
    fault, answer = decision.fault, decision.answer
    if answer is None:
        if fault is not None and fault.kind is FaultKind.HANG:
            await stopping.wait()
        return _reset(request)
    if fault is not None and fault.kind is FaultKind.CUT:
        return await _send_half(request, answer)
    if fault is not None and fault.kind is FaultKind.DRIP:
        return await _drip(request, answer, fault.seconds, stopping)
    if fault is not None and fault.kind is FaultKind.SLOW:
        await _wait(fault.seconds, stopping)
    return web.Response(
        status=answer.status, body=answer.body, content_type=answer.content_type, headers=answer.headers
    )


def _reset(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
        request.transport.abort()
    # aiohttp wants a response; on the closed connection it goes nowhere.
    return web.Response()


async def _begin(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_type = answer.content_type
    response.content_length = len(answer.body)
    await response.prepare(request)
    return response


async def _send_half(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    response = await _begin(request, answer)
    await response.write(answer.body[: len(answer.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def _drip(
    request: web.BaseRequest, answer: Answer, seconds: float, stopping: asyncio.Event
) -> web.StreamResponse:
    response = await _begin(request, answer)
    for index in range(len(answer.body)):
        await response.write(answer.body[index : index + 1])
        await _wait(seconds, stopping)
        if stopping.is_set():
            return _reset(request)
    return response


async def _wait(seconds: float, stopping: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
