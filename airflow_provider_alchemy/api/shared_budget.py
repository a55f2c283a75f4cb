# SPDX-License-Identifier: Apache-2.0
"""
One window of compute units for all processes of an account, in a Redis that all of them reach.

A call books its units there before it starts, and learns when it may. Bookings are served in the order in which they
came: no process starves, whatever its calls cost. Half a window may be used at once, the rest at the plan's rate. Where
Redis is out of reach, each process keeps to its own window.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from typing import Any
from urllib.parse import urlsplit

from airflow_provider_alchemy.api.errors import AlchemyConfigurationError, AlchemyError
from airflow_provider_alchemy.api.settings import WINDOW_SECONDS, ClientSettings

RETRY_SECONDS = 5.0
"""How long a Redis that did not answer is left alone."""

MAX_ANSWER_SECONDS = 6.0
"""How long one booking may take in all, where the time-out of a call is not shorter."""

_STEPS = 3
"""A booking that finds a dead connection waits at most three times: for its answer, a new connection, and an answer."""

# Not the library "limits": its exact window keeps an entry for each unit, 100,000 of them on a large plan; its cheap
# one guesses, and lets too much through; both go by the clients' clocks, know no order, and cannot tell a call when.
_BOOK = """
local function entry(index)
    local text = redis.call('LINDEX', KEYS[1], index)
    if not text then return nil end
    local start, units, total = string.match(text, '(%d+) (%d+) (%d+)')
    return tonumber(start), tonumber(units), tonumber(total)
end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local asked, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local held, window = tonumber(ARGV[3]), tonumber(ARGV[4])
local start, units, total = entry(0)
if start and start > now + 1000000 then -- the server's clock went back
    redis.call('DEL', KEYS[1])
    start = nil
end
while start and start + held <= now do
    redis.call('LPOP', KEYS[1])
    start, units, total = entry(0)
end
local begins, booked = now, 0
if start then
    local last, _, all = entry(-1)
    local excess, index = all - total + units + asked - limit, 0
    begins, booked = math.max(now, last), all
    if excess > -limit / 2 then -- one by one: a burst that comes late would meet the next one in the service's window
        begins = math.max(now, last + asked * window / limit)
    end
    while excess > 0 and start do
        begins, excess, index = math.max(begins, start + held), excess - units, index + 1
        start, units = entry(index)
    end
end
redis.call('RPUSH', KEYS[1], string.format('%.0f %.0f %.0f', begins, asked, booked + asked))
redis.call('PEXPIRE', KEYS[1], math.ceil((begins - now + held) / 1000))
return begins - now
"""
"""Book units: a list has the start of each call (microseconds), its units, and the units of all calls up to it."""

_log = logging.getLogger(__name__)


class SharedBudget:
    def __init__(self, settings: ClientSettings, *, held_seconds: float) -> None:
        self._url = settings.shared_budget or ""
        self._source = settings.source
        self._units_per_second = settings.compute_units_per_second
        self._spans = int(held_seconds * 1e6), int(WINDOW_SECONDS * 1e6)
        self._timeout = min(settings.timeout, MAX_ANSWER_SECONDS) / _STEPS
        # Processes with another rate count in another window: one that may use less would hold up all others.
        account = f"{settings.host or ''} {settings.api_key} {self._units_per_second:g}"
        self._key = f"airflow-provider-alchemy:budget:{hashlib.sha256(account.encode()).hexdigest()}"
        self._is_out_of_reach = False
        self._asks_again_at = 0.0
        self._lock = threading.Lock()
        self._script: Any = None

    def book(self, units: int) -> float:
        """Block until Redis answers; give the seconds after which a call may start, 0 where Redis is out of reach."""
        if self._is_out_of_reach:
            self._look_for_it(units)
            return 0.0
        answer = self._ask(units)
        if isinstance(answer, AlchemyError):
            raise answer
        return answer

    async def abook(self, units: int) -> float:
        """Do what ``book`` does, without blocking the event loop."""
        return self.book(units) if self._is_out_of_reach else await asyncio.to_thread(self.book, units)

    def _look_for_it(self, units: int) -> None:
        """Ask now and then whether Redis is back; no call waits for the answer."""
        with self._lock:
            if (now := time.monotonic()) < self._asks_again_at:
                return
            self._asks_again_at = now + RETRY_SECONDS
        threading.Thread(target=self._ask, args=(units,), daemon=True).start()

    def _ask(self, units: int) -> float | AlchemyError:
        answer = self._answer(units)
        with self._lock:
            was_out_of_reach, self._is_out_of_reach = self._is_out_of_reach, isinstance(answer, str)
            if self._is_out_of_reach:
                self._asks_again_at = time.monotonic() + RETRY_SECONDS
        if not isinstance(answer, str):
            if was_out_of_reach:
                _log.info("Redis at %s is back: all processes of the account share one budget again", self._address)
            return answer
        if not was_out_of_reach:
            words = (
                "Redis at %s (field 'shared_budget' of %s) is out of reach (%s): until it is back, this process keeps "
                "to a budget of its own, %s compute units a second"
            )
            _log.warning(words, self._address, self._source, answer, f"{self._units_per_second:,g}")
        return 0.0

    def _answer(self, units: int) -> float | str | AlchemyError:
        """Give the seconds, the reason why Redis did not answer, or an error that the user has to mend."""
        try:
            from redis import exceptions  # noqa: PLC0415 - only where a connection asks for it
        except ImportError:
            return AlchemyConfigurationError(
                f"field 'shared_budget' of {self._source} needs the Python package redis, which is not installed",
                advice="pip install 'airflow-provider-alchemy[redis]' for workers and triggerers",
            )
        refusals = (
            exceptions.AuthenticationError,
            exceptions.AuthenticationWrongNumberOfArgsError,
            exceptions.AuthorizationError,
            exceptions.NoPermissionError,
        )
        limit = self._units_per_second * WINDOW_SECONDS
        try:
            delay = self._connected()(keys=[self._key], args=[units, limit, *self._spans])
            return float(delay) / 1e6
        # Returned, not raised: an exception raised here would carry Redis' own, which may hold the URL, as its context.
        except refusals:
            return AlchemyConfigurationError(
                f"field 'shared_budget' of {self._source}: Redis at {self._address} refuses the user or the password",
                advice="Correct the URL: redis://user:password@host:port/database; the user may be empty, and needs to "
                "be allowed scripts on keys that begin with airflow-provider-alchemy",
            )
        except (TypeError, ValueError):
            return AlchemyConfigurationError(
                f"field 'shared_budget' of {self._source} has an option that the Python package redis does not know",
                advice="Leave out what follows the question mark, or correct it",
            )
        except Exception as error:  # noqa: BLE001 - a call is not lost for anything that goes wrong there
            return type(error).__name__

    def _connected(self) -> Any:
        with self._lock:
            if self._script is None:
                from redis import ConnectionPool, Redis  # noqa: PLC0415 - as above
                from redis.backoff import NoBackoff  # noqa: PLC0415 - as above
                from redis.retry import Retry  # noqa: PLC0415 - as above

                pool = ConnectionPool.from_url(self._url)
                # After the URL was read, whose options go first: nothing may make a call wait longer.
                pool.connection_kwargs |= {
                    "socket_timeout": self._timeout,
                    "socket_connect_timeout": self._timeout,
                    # Once more: the server may have closed a connection that was not used for long.
                    "retry": Retry(NoBackoff(), 1),
                }
                self._script = Redis(connection_pool=pool).register_script(_BOOK)
            return self._script

    @property
    def _address(self) -> str:
        parts = urlsplit(self._url)
        return f"{parts.hostname}:{parts.port or 6379}"
