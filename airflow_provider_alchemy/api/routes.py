# SPDX-License-Identifier: Apache-2.0
"""The way to the service: through which proxy, and which certificates are trusted on it."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy

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
        raise AlchemyConfigurationError(msg, advice="Expected true, false, or a file with certificate authorities")
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
