# SPDX-License-Identifier: Apache-2.0
"""The emulated account: everything that it remembers, behind one lock, and what it does with a call.

The order is the service's: key, month, throughput, then the endpoint. A fault happens before all of it (a proxy failed,
the service never saw the call) or after it (the work is done and billed, the answer is lost).
"""

from __future__ import annotations

import secrets
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Final, NamedTuple

from airflow_provider_alchemy.testing.calls import MASK, Auth, Call
from airflow_provider_alchemy.testing.chain import Chains
from airflow_provider_alchemy.testing.checks import is_address
from airflow_provider_alchemy.testing.collections import Collections
from airflow_provider_alchemy.testing.endpoints import UNKNOWN_PATH, find_endpoint
from airflow_provider_alchemy.testing.exchange import (
    OK,
    OVER_THROUGHPUT,
    STATE_FIELD,
    Answer,
    Asked,
    Exchange,
    Refused,
    refusal,
    retry_after_header,
)
from airflow_provider_alchemy.testing.faults import Fault, Faults, spoil
from airflow_provider_alchemy.testing.jobs import JobPlan, Jobs
from airflow_provider_alchemy.testing.routing import DEFAULT_NETWORK, ApiRequest
from airflow_provider_alchemy.testing.settings import Settings

WINDOW_SECONDS = 10.0
"""The length of the window over which Alchemy counts throughput (Alchemy's API reference, "Throughput")."""

OVER_MONTHLY_CAPACITY = (
    "Monthly capacity limit exceeded. Visit https://dashboard.alchemy.com/settings/billing to upgrade your"
    " scaling policy for continued service."
)


ANY_KEY: Final = ("any-key-does",)
"""Given as ``api_keys``: every key is accepted as long as there is one."""


def is_billed(status: int | None) -> bool:
    """Whether an answer is billed: errors are, except 403 and 429 (Alchemy's API reference, "Compute units").

    A redirect comes from before the service and costs nothing.
    """
    return status is not None and status not in {403, 429} and not 300 <= status < 400  # noqa: PLR2004 - HTTP's own class of statuses


class ThroughputWindow:
    """The units that the account used in the last 10 seconds."""

    def __init__(self) -> None:
        self._spent: deque[tuple[float, int]] = deque()
        self._total = 0

    def admit(self, now: float, units: int, units_per_second: float | None) -> bool:
        """Count a call if there is room for it; without a limit there always is."""
        if units_per_second is not None and self.used(now) + units > units_per_second * WINDOW_SECONDS:
            return False
        self.add(now, units)
        return True

    def add(self, now: float, units: int) -> None:
        """Count a call whether or not there is room, as where a fault has already settled the answer."""
        self._spent.append((now, units))
        self._total += units

    def used(self, now: float) -> int:
        """Give the units of the window that ends now."""
        while self._spent and self._spent[0][0] <= now - WINDOW_SECONDS:
            self._total -= self._spent.popleft()[1]
        return self._total


class Reply(NamedTuple):
    """What the client is to get (None: no answer), the fault that may change how it is sent, and the call's record."""

    answer: Answer | None
    fault: Fault | None
    call: Call


class Account:
    """The account's state; whoever reads or changes it holds the lock."""

    def __init__(self, settings: Settings, default_job: JobPlan, api_keys: Iterable[str] | None, seed: int) -> None:
        self.lock = threading.RLock()
        self._initial = (settings, default_job, seed)
        self.accept_keys(api_keys)
        self.reset()

    def reset(self) -> None:
        """Forget everything but the keys: connections that hold one go on working."""
        settings, default_job, seed = self._initial
        self.settings = settings
        self.jobs = Jobs(default_job)
        self.collections = Collections()
        self.chains = Chains(seed)
        self.node_calls = 0
        self.faults = Faults(seed)
        self.window = ThroughputWindow()
        self.calls: list[Call] = []
        self.compute_units = 0
        self.throttled = 0
        self.connections = 0

    def accept_keys(self, api_keys: Iterable[str] | None) -> None:
        """Replace the accepted keys; None: one random key."""
        if isinstance(api_keys, str):
            msg = "api_keys must be a sequence of keys, not one text"
            raise ValueError(msg)  # noqa: TRY004 - one kind of error for every wrong setting
        keys = (secrets.token_urlsafe(24),) if api_keys is None else tuple(api_keys)
        if not keys or not all(keys):
            msg = "api_keys must hold at least one key, and no empty one"
            raise ValueError(msg)
        self._keys = keys
        self._takes_any_key = api_keys is ANY_KEY
        self.api_key = keys[0]

    def handle(self, request: ApiRequest, now: float) -> Reply:
        """Do what the service does with one call, and record it."""
        exchange = Exchange(find_endpoint(request), request, self, now)
        with self.lock:
            answer, fault, units = self._decide(exchange)
            call = self._record(exchange, answer, units)
            self.calls.append(call)
            self.compute_units += units
        return Reply(answer, fault, call)

    def _decide(self, exchange: Exchange) -> tuple[Answer | None, Fault | None, int]:
        endpoint, request, now = exchange.endpoint, exchange.request, exchange.now
        answer: Answer | None
        if endpoint is UNKNOWN_PATH:
            return exchange.answer(), None, 0
        if fault := self.faults.pick(endpoint, request.contract_address, is_after=False):
            answer = spoil(fault, endpoint, request, replace(exchange, is_dry=True).answer(), now)
            status = answer.status if answer else None
            if is_billed(status):
                self.window.add(now, endpoint.throughput_units)
        else:
            answer = self._serve(exchange)
            status = answer.status
            if status == OK and (fault := self.faults.pick(endpoint, request.contract_address, is_after=True)):
                answer = spoil(fault, endpoint, request, answer, now)
        return answer, fault, endpoint.compute_units if is_billed(status) else 0

    def _serve(self, exchange: Exchange) -> Answer:
        request, endpoint, settings = exchange.request, exchange.endpoint, self.settings
        if request.auth is Auth.NONE or (
            request.auth is Auth.HEADER
            and request.version == "v2"
            and not request.is_rpc
            and not settings.header_auth_v2
        ):
            return refusal(request, 401, "Must be authenticated!")
        if not self._opens(request.key):
            return refusal(request, 401, "Invalid access key")
        if settings.monthly_units is not None and self.compute_units + endpoint.compute_units > settings.monthly_units:
            return refusal(request, settings.monthly_status, OVER_MONTHLY_CAPACITY, "jsonrpc")
        if not self.window.admit(exchange.now, endpoint.throughput_units, settings.units_per_second):
            self.throttled += 1
            headers = retry_after_header(settings.retry_after, "seconds", exchange.now)
            return refusal(request, 429, OVER_THROUGHPUT, "jsonrpc", headers)
        if request.method != endpoint.method:
            return refusal(request, 400, "Unsupported method")
        return exchange.answer()

    def _opens(self, key: str) -> bool:
        return key != "" and (self._takes_any_key or key in self._keys)

    def _record(self, exchange: Exchange, answer: Answer | None, units: int) -> Call:
        request, endpoint = exchange.request, exchange.endpoint
        # A call without a right key may hold that key in the place of something else. It is not kept there either.
        is_trusted = self._opens(request.key)
        address, asked, blocks, state = request.contract_address, Asked(), None, None
        with suppress(Refused):
            asked = exchange.asked
        if is_trusted and asked.blocks is not None:
            newest = self.chains.get(request.network, self.settings, exchange.now, is_dry=True).newest
            first, last = (newest if block is None else block for block in asked.blocks)
            blocks = first, last
        if answer and answer.is_own and "unknown_state" not in endpoint.spared:
            state = answer.payload.get(STATE_FIELD)
        is_harmless = address is None or is_address(address) or (is_trusted and address != request.key)
        return Call(
            at=exchange.now,
            endpoint=endpoint.name,
            network=request.network if is_trusted or request.network == DEFAULT_NETWORK else MASK,
            contract_address=address if is_harmless else MASK,
            auth=request.auth,
            http_status=answer.status if answer else None,
            state=state if isinstance(state, str) else None,
            compute_units=units,
            token_ids=tuple(token_id for _, token_id in asked.tokens) if is_trusted else (),
            refreshes=asked.refreshes,
            blocks=blocks,
            addresses=len(asked.contracts) if blocks else 0,
        )
