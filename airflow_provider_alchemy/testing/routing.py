# SPDX-License-Identifier: Apache-2.0
"""From a path, a header and a body to the call that is meant: network, version, key, endpoint, contract.

Pure functions, so that the many forms of a path are tested without a server. The path is not kept: it may hold a key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from airflow_provider_alchemy.testing.calls import Auth

MAINNET = "eth-mainnet"

_NETWORK = r"(?:/(?P<network>[a-z0-9]+(?:-[a-z0-9]+)+))?"
_NFT_PATH = re.compile(_NETWORK + r"/nft/(?P<version>v\d+)(?:/(?P<key>[^/]*))?/(?P<endpoint>[A-Za-z0-9]+)/?")
_NODE_PATH = re.compile(_NETWORK + r"/(?P<version>v2)(?:/(?P<key>[^/]*))?/?")
_BEARER = re.compile(r"Bearer +(\S+) *", re.IGNORECASE)


@dataclass(frozen=True)
class ApiRequest:
    """One call as it was meant.

    ``name`` is the last part of its path, or the method of the node API: whatever the client wrote there, which may be
    a key. ``body`` is the parsed JSON, None where there is none or none that is JSON.
    """

    method: str
    name: str = field(repr=False)
    network: str
    version: str
    auth: Auth
    key: str = field(repr=False)
    query: Mapping[str, str] = field(repr=False)
    body: object = field(repr=False)
    is_rpc: bool = False

    @property
    def rpc_id(self) -> object:
        """The id that an answer of the node API echoes, None if there is none."""
        given = self.body.get("id") if isinstance(self.body, dict) else None
        return given if isinstance(given, str | int | float) else None

    @property
    def rpc_params(self) -> object:
        return self.body.get("params") if isinstance(self.body, dict) else None

    @cached_property
    def contract_address(self) -> str | None:
        """The contract address as asked, the first one where there are several, None if there is none."""
        asked = self.rpc_params if self.is_rpc else self.body
        asked = asked[0] if self.is_rpc and isinstance(asked, list) and asked else asked
        if "contractAddress" in self.query or not isinstance(asked, dict):
            return self.query.get("contractAddress")
        for name in ("contractAddress", "address", "tokens", "contractAddresses"):
            named = asked.get(name)
            named = named[0] if isinstance(named, list) and named else named
            named = named.get("contractAddress") if isinstance(named, dict) else named
            if isinstance(named, str):
                return named
        return None


def read_request(
    method: str, path: str, query: Mapping[str, str], authorization: str | None, body: bytes = b""
) -> ApiRequest:
    """Find out what an HTTP request asks for, of the NFT API or of the node API; a key in the path goes first."""
    parsed, is_rpc = _parse(body), False
    parts = _NFT_PATH.fullmatch(path)
    name = parts["endpoint"] if parts else ""
    if parts is None and (parts := _NODE_PATH.fullmatch(path)):
        name, is_rpc = _rpc_method(parsed), True
    if parts is None:
        return ApiRequest(method, "", MAINNET, "", Auth.NONE, "", query, parsed)
    key, auth = parts["key"] or "", Auth.PATH
    if not key:
        bearer = _BEARER.fullmatch(authorization or "")
        key, auth = (bearer[1], Auth.HEADER) if bearer else ("", Auth.NONE)
    return ApiRequest(method, name, parts["network"] or MAINNET, parts["version"], auth, key, query, parsed, is_rpc)


def _rpc_method(body: object) -> str:
    is_call = isinstance(body, dict) and body.get("jsonrpc") == "2.0" and isinstance(body.get("method"), str)
    return body["method"] if is_call else ""  # type: ignore[index]  # a call is an object


def _parse(body: bytes) -> object:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None
