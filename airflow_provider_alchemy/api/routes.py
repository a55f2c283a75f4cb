# SPDX-License-Identifier: Apache-2.0
"""The way to the service: through which proxy, and which certificates are trusted on it."""

from __future__ import annotations

import os
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from requests.utils import (
    DEFAULT_CA_BUNDLE_PATH,
    get_auth_from_url,
    get_environ_proxies,
    select_proxy,
    urldefragauth,
)

from airflow_provider_alchemy.api.errors import AlchemyConfigurationError
from airflow_provider_alchemy.api.settings import ClientSettings, is_loopback


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
