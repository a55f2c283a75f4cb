# SPDX-License-Identifier: Apache-2.0
"""From a path, a header and a body to the calls that are meant: network, version, key, endpoint, tokens or blocks.

Pure functions, so that the many forms of a path are tested without a server. The path is not kept: it may
hold a key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from airflow_provider_alchemy.testing.asked import NO_TOKENS, AskedTokens, asked_contract
from airflow_provider_alchemy.testing.asked_logs import AskedLogs
from airflow_provider_alchemy.testing.calls import UNKNOWN_ENDPOINT, Auth
from airflow_provider_alchemy.testing.endpoints import ENDPOINTS, NO_METHOD, Endpoint

DEFAULT_NETWORK = "eth-mainnet"

_NETWORK = r"(?:/(?P<network>[a-z0-9]+(?:-[a-z0-9]+)+))?"
_PATH = re.compile(_NETWORK + r"/nft/(?P<version>v\d+)(?:/(?P<key>[^/]*))?/(?P<endpoint>[A-Za-z0-9]+)/?")
_NODE_PATH = re.compile(_NETWORK + r"/(?P<version>v2)(?:/(?P<key>[^/]*))?/?")
_BEARER = re.compile(r"Bearer +(\S+) *", re.IGNORECASE)


@dataclass(frozen=True)
class ApiRequest:
    """One call as it was meant.

    :param method: HTTP method.
    :param endpoint: the endpoint, or the method of the node API; None if the path is none of the emulator's.
    :param network: the network's slug.
    :param version: the API's version, such as ``v3``.
    :param auth: where the key was.
    :param key: the key, empty if there is none; never part of the representation.
    :param query: the query's parameters.
    :param body: the parsed JSON body, of an array of calls the call's own element; None where there is none, or none
        that is JSON.
    """

    method: str
    endpoint: Endpoint | None
    network: str
    version: str
    auth: Auth
    key: str = field(repr=False)
    query: Mapping[str, str]
    body: object = field(default=None, repr=False)

    @property
    def endpoint_name(self) -> str:
        """The endpoint's name, ``unknown`` if the path is none of the emulator's."""
        return self.endpoint.name if self.endpoint else UNKNOWN_ENDPOINT

    @property
    def is_rpc(self) -> bool:
        """Whether it is a call of the node API."""
        return self.endpoint is not None and self.endpoint.is_rpc

    @property
    def rpc_id(self) -> object:
        """The id that the answer echoes, None if there is none."""
        given = self.body.get("id") if isinstance(self.body, dict) else None
        return given if isinstance(given, str | int | float) else None

    @property
    def rpc_method(self) -> str | None:
        """The method of the node API that is called, None where the body is no call in JSON-RPC 2.0."""
        if not isinstance(self.body, dict) or self.body.get("jsonrpc") != "2.0":
            return None
        method = self.body.get("method")
        return method if isinstance(method, str) else None

    @property
    def rpc_params(self) -> object:
        """The parameters of a call of the node API, whatever they are."""
        return self.body.get("params") if isinstance(self.body, dict) else None

    @cached_property
    def contract_address(self) -> str | None:
        """The contract address as asked, the first one where there are several, None if there is none."""
        if self.is_rpc:
            return self.asked_logs.addresses[0] if self.asked_logs and self.asked_logs.addresses else None
        return asked_contract(self.query, self.body)

    @cached_property
    def asked_logs(self) -> AskedLogs | None:
        """The logs that the call asks for, None where it is of another method."""
        return self.endpoint.read_logs(self.rpc_params) if self.endpoint and self.endpoint.read_logs else None

    @cached_property
    def asked(self) -> AskedTokens:
        """The tokens that the call names."""
        return self.endpoint.read_tokens(self.query, self.body) if self.endpoint else NO_TOKENS


@dataclass(frozen=True)
class AskedCalls:
    """The calls of one HTTP request.

    :param calls: the calls, at least one.
    :param is_array: whether they came as an array of JSON-RPC, and their answers must.
    """

    calls: tuple[ApiRequest, ...]
    is_array: bool = False


def read_calls(
    method: str, path: str, query: Mapping[str, str], authorization: str | None, body: bytes = b""
) -> AskedCalls:
    """Find out what an HTTP request asks for, of the NFT API or of the node API.

    :param method: HTTP method.
    :param path: the URL's decoded path.
    :param query: the query's parameters.
    :param authorization: the ``Authorization`` header, None if there is none. A key in the path goes first.
    :param body: the bytes of the body.
    :return: the calls; an empty array counts as one that is not well-formed, as JSON-RPC 2.0 says.
    """
    parts = _NODE_PATH.fullmatch(path)
    if parts is None:
        return AskedCalls((read_request(method, path, query, authorization, body),))
    key, auth = _find_key(parts["key"], authorization)
    parsed = _parse(body)
    frame = ApiRequest(method, NO_METHOD, parts["network"] or DEFAULT_NETWORK, parts["version"], auth, key, {})
    if isinstance(parsed, list) and parsed:
        return AskedCalls(tuple(_node_call(frame, one) for one in parsed), is_array=True)
    return AskedCalls((_node_call(frame, parsed),))


def _node_call(frame: ApiRequest, body: object) -> ApiRequest:
    call = replace(frame, body=body)
    endpoint = ENDPOINTS.get(call.rpc_method or "")
    return replace(call, endpoint=endpoint) if endpoint is not None and endpoint.is_rpc else call


def read_request(
    method: str, path: str, query: Mapping[str, str], authorization: str | None, body: bytes = b""
) -> ApiRequest:
    """Find out what a request of the NFT API asks for.

    :param method: HTTP method.
    :param path: the URL's decoded path, with or without a network and with or without a key.
    :param query: the query's parameters.
    :param authorization: the ``Authorization`` header, None if there is none. A key in the path goes first.
    :param body: the bytes of the body.
    :return: the call; its endpoint is None where the path is none of the emulator's.
    """
    parts = _PATH.fullmatch(path)
    endpoint = ENDPOINTS.get(parts["endpoint"]) if parts else None
    version = parts["version"] if parts else ""
    network = (parts["network"] if parts else None) or DEFAULT_NETWORK
    key, auth = _find_key(parts["key"] if parts else None, authorization)
    if endpoint is not None and version not in endpoint.versions:
        endpoint = None
    return ApiRequest(method, endpoint, network, version, auth, key, query, _parse(body))


def _find_key(in_path: str | None, authorization: str | None) -> tuple[str, Auth]:
    if in_path:
        return in_path, Auth.PATH
    bearer = _BEARER.fullmatch(authorization or "")
    return (bearer[1], Auth.HEADER) if bearer else ("", Auth.NONE)


def _parse(body: bytes) -> object:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None
