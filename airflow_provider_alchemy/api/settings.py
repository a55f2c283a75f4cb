# SPDX-License-Identifier: Apache-2.0
"""What a client needs to know of an account and its way to the API, checked before anything is sent."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Literal, NoReturn
from urllib.parse import unquote, urlsplit

from airflow_provider_alchemy.api.errors import AlchemyArgumentError, AlchemyConfigurationError
from airflow_provider_alchemy.api.inputs import read_network
from airflow_provider_alchemy.defaults import DEFAULT_NETWORK

MAX_CALL_THROUGHPUT_UNITS = 480
_MAX_NUMBER = 10**9
"""More than any number of seconds, attempts or units that makes sense."""

WINDOW_SECONDS = 10.0
"""Alchemy counts throughput over 10 seconds (its page on throughput), so a burst may use ten seconds' units."""

_API_PATH = re.compile(r"(/nft(/v[0-9]+)?|/v[0-9]+)/*$|/nft/v[0-9]+/")
"""What people copy from Alchemy's dashboard together with the host."""

_PLACEHOLDER = re.compile(r"<[^>]*>|\$?\{[^}]*\}|\$\w+|(?i:your[-_ ]?(alchemy[-_ ]?)?(api[-_ ]?)?key)")
_ALCHEMY_HOST = re.compile(r"([a-z0-9-]+)\.g\.alchemy\.com")
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSettings:
    """
    The settings of a client. Wrong ones raise when they are made.

    :param api_key: The key of an app in the Alchemy dashboard.
    :param network: The network's slug. Default ``eth-mainnet``, the only one that ``reingestContract`` knows.
    :param host: Another base URL (an emulator, a proxy); ``{network}`` in it stands for the slug. Default:
        ``https://{network}.g.alchemy.com``.
    :param api_version: Path version of ``reingestContract``. Default ``v2``, the documented one.
    :param auth: Where the key is sent: ``path`` (default, the classic form) or ``header``.
    :param timeout: Seconds for one call, from first to last byte. Default 30. (``requests`` limits the silence
        between two bytes of an answer's headers, and the whole only from there.)
    :param max_attempts: How often a call is tried when the service is busy or out of reach. Default 5, which
        takes some 20 seconds in all.
    :param compute_units_per_second: The plan's throughput. Default 300, the free tier's.
    :param usd_per_million_units: What a million compute units cost in US dollars, for logs and results. Default 0.45,
        Alchemy's pay-as-you-go price up to 300 million units a month (0.40 beyond); 0: no prices.
    :param shared_budget: URL of a Redis (``redis://…`` or ``rediss://…``) in which all processes of the account count
        their compute units together. It needs the extra ``[redis]``. Default: each process counts its own.
    :param proxy: URL of an HTTP proxy; default: what the environment says.
    :param verify: True (default), False, or the path of a file with certificate authorities.
    :param allow_insecure: Whether ``http://`` is allowed to hosts beyond this machine. Default False, because
        the key would travel in clear text.
    :param source: Where these settings come from, for errors, for example ``connection 'alchemy_default'``.
    :raises AlchemyConfigurationError: A setting cannot be right; the text names it and says what was expected.
    :raises AlchemyArgumentError: The network is no slug.
    """

    api_key: str = field(repr=False)
    network: str = DEFAULT_NETWORK
    host: str | None = None
    api_version: str = "v2"
    auth: Literal["path", "header"] = "path"
    timeout: float = 30.0
    max_attempts: int = 5
    compute_units_per_second: float = 300.0
    usd_per_million_units: float = 0.45
    shared_budget: str | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)
    verify: bool | str = True
    allow_insecure: bool = False
    source: str = "the client's settings"

    def __post_init__(self) -> None:
        self._check_key()
        self._check_network()
        self._check_choice("api_version", ("v2", "v3"))
        self._check_choice("auth", ("path", "header"))
        self._check_at_least("timeout", 0.001, "a number of seconds above 0")
        self._check_at_least("max_attempts", 1, "a whole number from 1", whole=True)
        least = MAX_CALL_THROUGHPUT_UNITS / WINDOW_SECONDS
        self._check_at_least(
            "compute_units_per_second",
            least,
            f"at least {least:g}: one reingestContract call needs {MAX_CALL_THROUGHPUT_UNITS} units of the "
            f"{WINDOW_SECONDS:g}-second window",
        )
        self._check_at_least("usd_per_million_units", 0, "US dollars for a million compute units, or 0 for no prices")
        self._check_host()
        self._check_shared_budget()
        if self.proxy and urlsplit(self.proxy).scheme not in {"http", "https"}:
            # Not shown: it may hold a password.
            self._refuse("proxy", "is no URL of an HTTP proxy; expected one such as http://proxy.example.com:3128")

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no log may show."""
        password = urlsplit(self.shared_budget or "").password or ""
        return tuple(filter(None, (self.api_key, self.shared_budget, password, unquote(password))))

    @property
    def base_url(self) -> str:
        """The API's base URL, without the key and without a slash at its end."""
        host = self.host or "https://{network}.g.alchemy.com"
        return host.replace("{network}", self.network).rstrip("/")

    def _refuse(self, name: str, problem: str) -> NoReturn:
        msg = f"field {name!r} of {self.source} {problem}"
        raise AlchemyConfigurationError(msg).without(self.api_key)

    def _check_key(self) -> None:
        name = "password (API key)"
        if not self.api_key:
            self._refuse(name, "is empty; expected the key of an app in the Alchemy dashboard")
        if not any(character.isalnum() for character in self.api_key):
            self._refuse(name, "is only a mask; type the key again, as the Alchemy dashboard shows it")
        if _PLACEHOLDER.fullmatch(self.api_key):
            self._refuse(name, "is a placeholder; type the key of an app in the Alchemy dashboard")
        if "://" in self.api_key:
            self._refuse(name, "holds a URL; expected the key alone, the last part of that URL")
        if not _VISIBLE_ASCII.fullmatch(self.api_key):
            self._refuse(name, "holds a space or a character that no key has; copy the key again")

    def _check_network(self) -> None:
        try:
            read_network(self.network, f"field 'network' of {self.source}")
        except AlchemyArgumentError as error:
            raise error.without(self.api_key) from None
        if self.network == self.api_key.lower():
            # A network is named in every error and log line.
            self._refuse("network", "is the API key; expected a network's slug such as eth-mainnet")

    def _check_choice(self, name: str, choices: tuple[str, ...]) -> None:
        value = getattr(self, name)
        if value not in choices:
            self._refuse(name, f"is {value!r}; expected {' or '.join(choices)}")

    def _check_at_least(self, name: str, least: float, expected: str, *, whole: bool = False) -> None:
        value = getattr(self, name)
        is_number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not is_number or not least <= value <= _MAX_NUMBER:
            self._refuse(name, f"is {value!r}; expected {expected}")

    def _check_host(self) -> None:
        try:
            parts = urlsplit(self.base_url)
            hostname, _ = parts.hostname, parts.port
        except ValueError:
            hostname, parts = None, urlsplit("")
        expected = "expected a base URL such as https://proxy.example.com/alchemy"
        if "@" in parts.netloc:
            self._refuse("host", f"holds a user name or a password, which is not sent; {expected}")
        if parts.scheme not in {"http", "https"} or not hostname or parts.query or parts.fragment:
            self._refuse("host", f"is {self.host!r}; {expected}")
        if f"/{self.api_key}/" in f"{unquote(parts.path)}/":
            # A base URL is no secret, so it may be shown; and the key would be sent twice.
            self._refuse("host", f"holds the API key, which stands in field 'password' alone; {expected}")
        if _API_PATH.search(parts.path):
            path = "the base URL alone: the path of each endpoint is added to it"
            self._refuse("host", f"is {self.host!r}, with a path of the API; expected {path}")
        named = _ALCHEMY_HOST.fullmatch(hostname)
        if named and named[1] != self.network:
            problem = f"is {self.host!r}, which is network {named[1]!r}, while field 'network' says {self.network!r}"
            self._refuse("host", f"{problem}; leave host empty, and set the network alone")
        if parts.scheme == "http" and not self.allow_insecure and not is_loopback(hostname):
            problem = (
                f"is {self.host!r}: http:// would send the key in clear text to {hostname}; expected https://, or "
                "allow_insecure: true in the extra where that network is yours"
            )
            self._refuse("host", problem)

    def _check_shared_budget(self) -> None:
        try:
            parts = urlsplit(self.shared_budget or "redis://localhost")
            is_redis = parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_redis, parts = False, urlsplit("")
        if not is_redis or not (parts.path.strip("/") or "0").isdecimal():
            # Not shown: it may hold a password.
            example = "redis://:password@redis.example.com:6379/0, or rediss:// with TLS"
            self._refuse("shared_budget", f"is no URL of a Redis; expected one such as {example}")


def is_loopback(hostname: str) -> bool:
    """Whether a host is this machine: localhost, 127.0.0.0/8 and ::1."""
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"
