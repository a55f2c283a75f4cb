# SPDX-License-Identifier: Apache-2.0
"""The HTTP front: which request goes where, and one log line for each call.

The line is put together from what was understood, never from the path, so that no key can slip in.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback

from aiohttp import web

from airflow_provider_alchemy.testing.calls import Auth, Call
from airflow_provider_alchemy.testing.checks import is_address
from airflow_provider_alchemy.testing.control import PREFIX, control
from airflow_provider_alchemy.testing.delivery import deliver
from airflow_provider_alchemy.testing.keys import MASK
from airflow_provider_alchemy.testing.processing import in_one_answer, process
from airflow_provider_alchemy.testing.routing import ApiRequest, read_calls
from airflow_provider_alchemy.testing.state import ServiceState
from airflow_provider_alchemy.testing.steering import Steering

LOG = logging.getLogger(__name__)
HTTP_LOG = logging.getLogger(f"{__name__}.http")
"""The log that aiohttp writes to, when a request is malformed or a handler fails."""


def _without_exception_text(record: logging.LogRecord) -> bool:
    # aiohttp logs the exception, and that of a malformed request quotes the request line, key included.
    if record.exc_info and record.exc_info[0]:
        frames = "".join(traceback.format_tb(record.exc_info[2]))
        record.msg, record.args = "%s: %s\n%s", (record.getMessage(), record.exc_info[0].__name__, frames)
        record.exc_info = None
    return True


HTTP_LOG.addFilter(_without_exception_text)


def _log_line(request: ApiRequest, call: Call) -> str:
    if request.endpoint is None:
        asked = "(unknown path)"
    else:
        key = f"/{MASK}" if call.auth is Auth.PATH else ""
        address = call.contract_address if is_address(call.contract_address) else "(no address)"
        if request.is_rpc:
            asked = f"/{call.network}/{request.version}{key} {call.endpoint}{_asked_of_chain(call)}"
        else:
            asked = f"/{call.network}/nft/{request.version}{key}/{call.endpoint}?contractAddress={address}"
    state = f" {call.state}" if call.state else ""
    tokens = f", {len(call.token_ids)} tokens" if call.token_ids else ""
    return f"{request.method} {asked}: {call.http_status or 'no answer'}{state}{tokens}, {call.compute_units} units"


def _asked_of_chain(call: Call) -> str:
    contracts = f"{call.addresses} contracts" if call.addresses else "every contract"
    return f" in blocks {call.blocks[0]} to {call.blocks[1]} of {contracts}" if call.blocks else ""


async def handle(
    request: web.BaseRequest, steering: Steering, state: ServiceState, stopping: asyncio.Event
) -> web.StreamResponse:
    """Answer one HTTP request, of the control interface or of the API.

    :param request: the HTTP request.
    :param steering: what the control interface steers.
    :param state: the state of the emulated account.
    :param stopping: set when the server stops.
    :return: the response for aiohttp to finish.
    """
    if request.path.startswith(PREFIX):
        return await control(request, steering)
    authorization, body = request.headers.get("Authorization"), await request.read()
    asked = read_calls(request.method, request.path, request.query, authorization, body)
    decisions = [process(call, state, time.time()) for call in asked.calls]
    for api_request, decision in zip(asked.calls, decisions, strict=True):
        LOG.info("%s", _log_line(api_request, decision.call))
    decision = in_one_answer(decisions) if asked.is_array else decisions[0]
    return await deliver(request, decision, stopping, state.settings.latency_seconds)
