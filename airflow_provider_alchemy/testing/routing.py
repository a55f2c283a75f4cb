# SPDX-License-Identifier: Apache-2.0
"""From a path, a header and a body to the call that is meant: network, version, key, endpoint, tokens.

A pure function, so that the many forms of a path are tested without a server. The path is not kept: it may
hold a key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from airflow_provider_alchemy.testing.asked import NO_TOKENS, AskedTokens, asked_contract
from airflow_provider_alchemy.testing.calls import UNKNOWN_ENDPOINT, Auth
from airflow_provider_alchemy.testing.endpoints import ENDPOINTS, Endpoint

DEFAULT_NETWORK = "eth-mainnet"

_PATH = re.compile(
    r"(?:/(?P<network>[a-z0-9]+(?:-[a-z0-9]+)+))?/nft/(?P<version>v\d+)(?:/(?P<key>[^/]*))?/(?P<endpoint>[A-Za-z0-9]+)/?"
)
_BEARER = re.compile(r"Bearer +(\S+) *", re.IGNORECASE)


@dataclass(frozen=True)
class ApiRequest:
    """One call as it was meant.

    :param method: HTTP method.
    :param endpoint: the endpoint, None if the path is none of the emulator's.
    :param network: the network's slug.
    :param version: the API's version, such as ``v3``.
    :param auth: where the key was.
    :param key: the key, empty if there is none; never part of the representation.
    :param query: the query's parameters.
    :param body: the parsed JSON body; None where there is none, or none that is JSON.
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

    @cached_property
    def contract_address(self) -> str | None:
        """The contract address as asked, the first one where there are several, None if there is none."""
        return asked_contract(self.query, self.body)

    @cached_property
    def asked(self) -> AskedTokens:
        """The tokens that the call names."""
        return self.endpoint.read_tokens(self.query, self.body) if self.endpoint else NO_TOKENS


def read_request(
    method: str, path: str, query: Mapping[str, str], authorization: str | None, body: bytes = b""
) -> ApiRequest:
    """Find out what a request asks for.

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
    key, auth = (parts["key"] if parts else "") or "", Auth.PATH
    if not key:
        bearer = _BEARER.fullmatch(authorization or "")
        key, auth = (bearer[1], Auth.HEADER) if bearer else ("", Auth.NONE)
    if endpoint is not None and version not in endpoint.versions:
        endpoint = None
    return ApiRequest(method, endpoint, network, version, auth, key, query, _parse(body))


def _parse(body: bytes) -> object:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None
