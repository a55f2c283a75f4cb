# SPDX-License-Identifier: Apache-2.0
"""The emulated account: everything that it remembers, behind one lock, and what it does with a call.

The order is the service's: key, month, throughput, then the endpoint. A fault happens before all of it (a proxy failed,
the service never saw the call) or after it (the work is done and billed, the answer is lost).
"""

from __future__ import annotations

import secrets
import threading
from collections import defaultdict, deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from airflow_provider_alchemy.testing.calls import MASK, Auth, Call
from airflow_provider_alchemy.testing.chain import Chain
from airflow_provider_alchemy.testing.checks import is_address
from airflow_provider_alchemy.testing.collections import Collection, CollectionPlan
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
from airflow_provider_alchemy.testing.routing import MAINNET, ApiRequest
from airflow_provider_alchemy.testing.settings import Settings

WINDOW_SECONDS = 10.0  # over which throughput is counted (Alchemy's API reference, "Throughput")
_PAST_SECONDS = 12.0  # between two blocks of the past, where none comes by itself
OVER_MONTHLY_CAPACITY = (
    "Monthly capacity limit exceeded. Visit https://dashboard.alchemy.com/settings/billing to upgrade your"
    " scaling policy for continued service."
)

ANY_KEY: Final = ("any-key-does",)
"""Given as ``api_keys``: every key is accepted as long as there is one."""


def is_billed(status: int | None) -> bool:
    """Whether an answer is billed: errors are, except 403 and 429 (Alchemy's API reference, "Compute units")."""
    # A redirect comes from before the service and costs nothing.
    return status is not None and status // 100 != 3 and status not in {403, 429}  # noqa: PLR2004 - HTTP's redirects


class ThroughputWindow:
    """The units that the account used in the last 10 seconds."""

    def __init__(self) -> None:
        self._spent: deque[tuple[float, int]] = deque()
        self._total = 0

    def admit(self, now: float, units: int, units_per_second: float | None) -> bool:
        """Count a call if there is room for it; without a limit there always is."""
        if units_per_second is not None and self.used(now) + units > units_per_second * WINDOW_SECONDS:
            return False
        self._spent.append((now, units))
        self._total += units
        return True

    def used(self, now: float) -> int:
        while self._spent and self._spent[0][0] <= now - WINDOW_SECONDS:
            self._total -= self._spent.popleft()[1]
        return self._total


class Account:
    """The account's state, to be read and changed under its lock."""

    def __init__(self, settings: Settings, default_job: JobPlan, api_keys: Iterable[str] | None, seed: int) -> None:
        self.lock = threading.RLock()
        self._initial = (settings, default_job, seed)
        self.accept_keys(api_keys)
        self.reset()

    def reset(self) -> None:
        """Forget everything but the keys: connections that hold one go on working."""
        self.settings, default_job, self._seed = self._initial
        self.jobs = Jobs(default_job)
        self.collections = defaultdict[tuple[str, str], Collection](lambda: Collection(CollectionPlan()))
        self.chains: dict[str, Chain] = {}
        self.node_calls = 0
        self.faults = Faults(self._seed)
        self.window = ThroughputWindow()
        self.calls: list[Call] = []
        self.compute_units = 0
        self.throttled = 0
        self.connections = 0

    def chain(self, network: str, now: float) -> Chain:
        """Give the chain of a network as it is now; it begins when it is first asked for."""
        seconds = self.settings.seconds_between_blocks
        if network not in self.chains:
            past_seconds = seconds or _PAST_SECONDS
            self.chains[network] = Chain(network, self._seed, self.settings.first_block, past_seconds, now)
        self.chains[network].advance(now, seconds)
        return self.chains[network]

    def change_settings(self, settings: Settings, now: float) -> None:
        """Mine what is due on every chain by the settings so far, and count from now on by the new ones."""
        before, self.settings = self.settings.seconds_between_blocks, settings
        for chain in self.chains.values() if before != settings.seconds_between_blocks else ():
            chain.advance(now, before)
            chain.advance(now, None)

    def accept_keys(self, api_keys: Iterable[str] | None) -> None:
        keys = (secrets.token_urlsafe(24),) if api_keys is None else tuple(api_keys)
        if isinstance(api_keys, str) or not keys or not all(keys):
            msg = "api_keys must be a sequence of at least one key, and of no empty one"
            raise ValueError(msg)
        self._keys = keys
        self._takes_any_key = api_keys is ANY_KEY
        self.api_key = keys[0]

    def handle(self, request: ApiRequest, now: float) -> tuple[Answer | None, Fault | None, Call]:
        """Do what the service does with one call; give the answer, the fault that hit it, and its record."""
        exchange = Exchange(find_endpoint(request), request, self, now)
        with self.lock:
            answer, fault, units = self._decide(exchange)
            call = self._record(exchange, answer, units)
            self.calls.append(call)
            self.compute_units += units
        return answer, fault, call

    def _decide(self, exchange: Exchange) -> tuple[Answer | None, Fault | None, int]:
        endpoint = exchange.endpoint
        answer: Answer | None
        if endpoint is UNKNOWN_PATH:
            return exchange.answer(), None, 0
        if fault := self.faults.pick(exchange, is_after=False):
            answer = spoil(fault, exchange, replace(exchange, is_dry=True).answer())
            status = answer.status if answer else None
            if is_billed(status):
                self.window.admit(exchange.now, endpoint.throughput_units, None)
        else:
            answer = self._serve(exchange)
            status = answer.status
            if status == OK and (fault := self.faults.pick(exchange, is_after=True)):
                answer = spoil(fault, exchange, answer)
        return answer, fault, endpoint.compute_units if is_billed(status) else 0

    def _serve(self, exchange: Exchange) -> Answer:
        request, endpoint, settings = exchange.request, exchange.endpoint, self.settings
        takes_header = settings.header_auth_v2 or request.version != "v2" or request.is_rpc
        if request.auth is Auth.NONE or (request.auth is Auth.HEADER and not takes_header):
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
            newest = self.chain(request.network, exchange.now).newest
            first, last = (newest if block is None else block for block in asked.blocks)
            blocks = first, last
        if answer and answer.is_own and endpoint.reports_state:
            state = answer.payload.get(STATE_FIELD)
        is_harmless = address is None or is_address(address) or (is_trusted and address != request.key)
        return Call(
            at=exchange.now,
            endpoint=endpoint.name,
            network=request.network if is_trusted or request.network == MAINNET else MASK,
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
