# SPDX-License-Identifier: Apache-2.0
"""What a test tells the emulated service, and what it asks it afterwards.

These methods are the Python interface, and what the HTTP control interface calls. Every method may be called
from any thread, before the server starts, while it runs and after it stopped.
"""

from __future__ import annotations

from typing import Any

from airflow_provider_alchemy.testing import checks
from airflow_provider_alchemy.testing.calls import Call
from airflow_provider_alchemy.testing.endpoints import ENDPOINTS
from airflow_provider_alchemy.testing.faults import Fault
from airflow_provider_alchemy.testing.jobs import JobPlan
from airflow_provider_alchemy.testing.keys import ApiKeys
from airflow_provider_alchemy.testing.routing import DEFAULT_NETWORK
from airflow_provider_alchemy.testing.settings import Settings
from airflow_provider_alchemy.testing.state import ServiceState


class Steering:
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
            self._state.settings = self._state.settings.changed(**switches)

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
        with self._state.lock:
            self._state.faults.add(fault)

    def clear_faults(self) -> None:
        """Let nothing go wrong any more; an answer that a fault already holds back stays late."""
        with self._state.lock:
            self._state.faults.clear()

    def reset(self) -> None:
        """Forget jobs, faults, calls, counters and the throughput window.

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
