# SPDX-License-Identifier: Apache-2.0
"""How the node API words its answers: JSON-RPC 2.0, with the id of the call.

What is refused before it reaches a method (a wrong key, no throughput left) is worded for either API here, so that
the rules about it stand in one place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from airflow_provider_alchemy.testing.answers import Answer, BodyForm, error_answer, json_answer

if TYPE_CHECKING:
    from airflow_provider_alchemy.testing.routing import ApiRequest

OK = 200

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
INVALID_PARAMS = -32602
LIMIT_EXCEEDED = -32005
SERVER_ERROR = -32000
"""Codes of JSON-RPC 2.0 and, the last two, of the Ethereum JSON-RPC specification (EIP-1474)."""


def result_answer(request: ApiRequest, result: object) -> Answer:
    """Give the result of a call."""
    return json_answer({"jsonrpc": "2.0", "id": request.rpc_id, "result": result})


def rpc_error(
    request: ApiRequest, code: int, message: str, status: int = 400, headers: Mapping[str, str] | None = None
) -> Answer:
    """Give an error as a node does.

    :param request: the call.
    :param code: the code of JSON-RPC.
    :param message: the sentence.
    :param status: HTTP status; 400 by default, with which Alchemy refuses what is not well-formed.
    :param headers: further headers.
    :return: the answer.
    """
    content = {"jsonrpc": "2.0", "id": request.rpc_id, "error": {"code": code, "message": message}}
    return Answer(status, json.dumps(content).encode(), headers=headers or {})


def refusal(
    request: ApiRequest,
    status: int,
    message: str,
    form: BodyForm = BodyForm.ERROR,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Refuse a call in the form of its API.

    :param request: the call.
    :param status: HTTP status.
    :param message: the sentence.
    :param form: the form in the NFT API; in the node API each of the two JSON forms is JSON-RPC with the call's id.
    :param headers: further headers.
    :return: the answer.
    """
    if not request.is_rpc or form in {BodyForm.TEXT, BodyForm.HTML}:
        return error_answer(status, message, form, headers)
    return rpc_error(request, SERVER_ERROR if status == OK else status, message, status, headers)


def batch_answer(answers: Sequence[Answer]) -> Answer:
    """Give the answers to an array of calls as one, in their order; its status is theirs where all have the same.

    :param answers: the answers, each a JSON text.
    :return: the answer, with the headers of all of them.
    """
    statuses = {answer.status for answer in answers}
    headers = {name: text for answer in answers for name, text in answer.headers.items()}
    body = b"[" + b", ".join(answer.body for answer in answers) + b"]"
    return Answer(statuses.pop() if len(statuses) == 1 else OK, body, headers=headers)
