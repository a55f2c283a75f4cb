# SPDX-License-Identifier: Apache-2.0
"""What a test tells the emulated service, and what it asks it afterwards.

These methods are the Python interface, and what the HTTP control interface calls. Every method may be called
from any thread, before the server starts, while it runs and after it stopped.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from typing import Any

from airflow_provider_alchemy.testing import checks
from airflow_provider_alchemy.testing.calls import Call
from airflow_provider_alchemy.testing.chain_steering import ChainSteering
from airflow_provider_alchemy.testing.endpoints import ENDPOINTS
from airflow_provider_alchemy.testing.faults import Fault
from airflow_provider_alchemy.testing.jobs import JobPlan
from airflow_provider_alchemy.testing.keys import ApiKeys
from airflow_provider_alchemy.testing.nft_texts import in_milliseconds
from airflow_provider_alchemy.testing.routing import DEFAULT_NETWORK
from airflow_provider_alchemy.testing.settings import Settings
from airflow_provider_alchemy.testing.state import ServiceState
from airflow_provider_alchemy.testing.token_plans import MOST_IN_COLLECTION, CollectionPlan, TokenPlan


class Steering(ChainSteering):
    """The wheel of the emulated service.

    :param state: the state of the emulated account.
    """

    def __init__(self, state: ServiceState) -> None:
        self._state = state

    @property
    def settings(self) -> Settings:
        """The switches as they are now."""
        return self._state.settings

    def configure(self, /, **switches: Any) -> None:
        """Change switches while the service runs.

        :param switches: fields of :class:`~airflow_provider_alchemy.testing.settings.Settings`.
        :raises ValueError: an unknown switch, or a value that is not accepted.
        """
        with self._state.lock:
            changed = self._state.settings.changed(**switches)
            self._state.chains.change_pace(self._state.settings, changed, time.time())
            self._state.settings = changed

    def set_job(self, /, address: str, network: str = DEFAULT_NETWORK, **plan: Any) -> None:
        """Say what the refresh of one collection does.

        A job that is already submitted follows the new plan, counted from its submission.

        :param address: the contract address, in any case.
        :param network: the network's slug; default ``eth-mainnet``, the only one on which the endpoint is
            documented.
        :param plan: fields of :class:`~airflow_provider_alchemy.testing.jobs.JobPlan`:
            ``queued_seconds=0.0``, ``running_seconds=1.0``, ``outcome="finished"``, ``queue_failures=0``,
            ``queued_state=None``, ``running_state=None``.
        :raises ValueError: an unknown field, or a value that is not accepted.
        """
        place = (checks.text("network", network), checks.address("address", address))
        job_plan = JobPlan.from_fields(plan)
        with self._state.lock:
            self._state.jobs.plans[place] = job_plan

    def set_default_job(self, /, **plan: Any) -> None:
        """Say what the refresh of a collection without :meth:`set_job` does.

        :param plan: fields of :class:`~airflow_provider_alchemy.testing.jobs.JobPlan`; those not given take
            that class's defaults.
        :raises ValueError: an unknown field, or a value that is not accepted.
        """
        job_plan = JobPlan.from_fields(plan)
        with self._state.lock:
            self._state.jobs.default_plan = job_plan

    def set_collection(self, /, address: str, network: str = DEFAULT_NETWORK, **plan: Any) -> None:
        """Say what a contract holds; what was there before is forgotten, with its refreshes.

        A contract that nobody planned has 10,000 tokens from 0 on.

        :param address: the contract address, in any case.
        :param network: the network's slug; default ``eth-mainnet``.
        :param plan: fields of :class:`~airflow_provider_alchemy.testing.token_plans.CollectionPlan`:
            ``tokens=10_000``, ``first_id=0``, ``token_ids=None``, ``token_type="ERC721"``, ``total_supply`` (the
            number of tokens), ``refresh_seconds=0.0``, ``queue_seconds=1.0``, ``last_updated=2026-01-01T00:00:00Z``.
        :raises ValueError: an unknown field, or a value that is not accepted.
        """
        place = (checks.text("network", network), checks.address("address", address))
        collection_plan = CollectionPlan.from_fields(plan)
        with self._state.lock:
            self._state.collections.set(*place, collection_plan)

    def grow_collection(self, /, address: str, tokens: int, network: str = DEFAULT_NETWORK) -> None:
        """Add tokens at the end of a collection, as when somebody mints while it is read.

        :param address: the contract address, in any case.
        :param tokens: how many, with the ids that follow the last one.
        :param network: the network's slug.
        :raises ValueError: a value that is not accepted, or a contract that is no NFT.
        """
        place = (checks.text("network", network), checks.address("address", address))
        number = checks.whole(1, MOST_IN_COLLECTION)("tokens", tokens)
        with self._state.lock:
            self._state.collections.get(*place).grow(number)

    def set_tokens(
        self, /, address: str, token_ids: Iterable[int | str], network: str = DEFAULT_NETWORK, **plan: Any
    ) -> None:
        """Make single tokens of a collection special, or, without a plan, like the others again.

        :param address: the contract address, in any case.
        :param token_ids: the tokens: numbers, or decimal or 0x-hexadecimal texts.
        :param network: the network's slug.
        :param plan: fields of :class:`~airflow_provider_alchemy.testing.token_plans.TokenPlan`: ``stale=False``,
            ``stale_refreshes=0``, ``error=None``, ``error_answers=None``.
        :raises ValueError: an unknown field or token, or a value that is not accepted.
        """
        place = (checks.text("network", network), checks.address("address", address))
        chosen = checks.token_ids("token_ids", token_ids)
        token_plan = TokenPlan.from_fields(plan)
        with self._state.lock:
            self._state.collections.get(*place).set_tokens(chosen, token_plan)

    def time_last_updated(self, /, address: str, token_id: int | str, network: str = DEFAULT_NETWORK) -> float:
        """Give the ``timeLastUpdated`` that an answer would show now, without asking as a client.

        :param address: the contract address, in any case.
        :param token_id: the token.
        :param network: the network's slug.
        :return: seconds since the epoch, rounded up to whole milliseconds as in the answers.
        :raises ValueError: a value that is not accepted.
        """
        place = (checks.text("network", network), checks.address("address", address))
        token = checks.token_id("token_id", token_id)
        with self._state.lock:
            view = self._state.collections.get(*place).look(token, time.time())
        return in_milliseconds(view.updated_at) / 1000

    def add_fault(self, /, kind: str, **fields: Any) -> None:
        """Let something go wrong; of several faults that fit a call, the oldest hits it.

        :param kind: what goes wrong, a :class:`~airflow_provider_alchemy.testing.faults.FaultKind` or its
            text.
        :param fields: further fields of :class:`~airflow_provider_alchemy.testing.faults.Fault`, such as
            ``times``, ``probability``, ``endpoint``, ``contract_address``, ``after_processing``, ``status``
            and ``body``.
        :raises ValueError: an unknown field or endpoint, or a value that is not accepted.
        """
        fault = Fault.from_fields({"kind": kind, **fields})
        checks.optional(checks.one_of(tuple(ENDPOINTS)))("endpoint", fault.endpoint)
        if fault.endpoint is not None and fault.kind in ENDPOINTS[fault.endpoint].spared:
            msg = f"kind cannot be {fault.kind} for {fault.endpoint}: its answers have nothing of the kind"
            raise ValueError(msg)
        with self._state.lock:
            self._state.faults.add(fault)

    def clear_faults(self) -> None:
        """Let nothing go wrong any more; an answer that a fault already holds back stays late."""
        with self._state.lock:
            self._state.faults.clear()

    def reset(self) -> None:
        """Forget jobs, collections, chains, faults, calls, counters and the throughput window.

        The switches and the default job become those of the start again. The accepted keys stay: connections
        that hold one go on working.
        """
        self._state.reset()

    @property
    def api_key(self) -> str:
        """A key that is accepted: the first one."""
        with self._state.lock:
            return self._state.keys.first

    def rotate_key(self) -> str:
        """Accept one new random key and refuse all others from now on.

        :return: the new key.
        """
        with self._state.lock:
            self._state.keys.accept(None)
            return self._state.keys.first

    def accept_keys(self, api_keys: ApiKeys) -> None:
        """Replace the accepted keys, as when an old and a new one overlap.

        :param api_keys: as for the emulator itself.
        :raises ValueError: no key, or an empty one.
        """
        with self._state.lock:
            self._state.keys.accept(api_keys)

    @property
    def calls(self) -> tuple[Call, ...]:
        """The API's calls so far, in the order in which the service took them."""
        with self._state.lock:
            return tuple(self._state.calls)

    def count(self, endpoint: str | None = None, contract_address: str | None = None) -> int:
        """Count the calls so far.

        :param endpoint: only calls of this endpoint; None, the default: of all.
        :param contract_address: only calls about this contract, compared without case; None, the default:
            about any or none.
        :return: how many there were.
        """
        return sum(call.matches(endpoint, contract_address) for call in self.calls)

    def asked_tokens(self, endpoint: str | None = None, contract_address: str | None = None) -> Counter[int]:
        """Count how often each token was asked for so far, whatever the answer was.

        :param endpoint: only by calls of this endpoint; None, the default: by any.
        :param contract_address: only by calls about this contract, the first one of a batch; None, the default:
            about any.
        :return: the number of mentions by token.
        """
        asked = (call.token_ids for call in self.calls if call.matches(endpoint, contract_address))
        return Counter(token_id for token_ids in asked for token_id in token_ids)

    @property
    def compute_units(self) -> int:
        """The compute units billed so far."""
        return self._state.compute_units

    @property
    def throttled(self) -> int:
        """How many calls were refused with 429 because the throughput window was full."""
        return self._state.throttled

    @property
    def connections(self) -> int:
        """How many TCP connections were accepted, those of the control interface among them."""
        return self._state.connections

    def finished_at(self, address: str, network: str = DEFAULT_NETWORK) -> float | None:
        """Give the moment at which a collection's job was or will be over, whether or not anybody asked.

        :param address: the contract address, in any case.
        :param network: the network's slug.
        :return: seconds since the epoch (``time.time()``); None if the job was never submitted.
        """
        with self._state.lock:
            return self._state.jobs.finished_at(network, address, self._state.settings)
