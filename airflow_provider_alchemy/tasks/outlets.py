# SPDX-License-Identifier: Apache-2.0
"""
The end of a task that has ended well, and what it tells with the asset event of a collection that is its outlet.

A task may end in a process that knows nothing of its beginning: what is told is the result that this process returns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_alchemy.api.models import RefreshState
from airflow_provider_alchemy.api.records import RESULT
from airflow_provider_alchemy.assets.uris import Collection, collection_of
from airflow_provider_alchemy.tasks.rendering import PlainTextTask

MOST_REASONS = 10
"""Reasons that an event names: the result of the task has them all."""

_BY_NAME = "AssetNameRef"
"""Airflow 3's outlet that only names an asset: what its URI is, the database knows. Airflow 2 has no such class."""

_OF_A_BATCH = ("polls", "compute_units")


class OutletTask(PlainTextTask):
    """A task that tells the outlets that are its collections how it ended. Its subclasses call ``deliver``."""

    _delivered: dict[str, Any] | None = None

    def deliver(self, context: Any, result: dict[str, Any]) -> dict[str, Any]:
        """
        End well: attach the result to the events that Airflow emits for this task's outlets.

        :param context: The task's context.
        :param result: What the task returns.
        :return: The same.
        """
        # For the lineage, which Airflow asks for afterwards in this same process.
        self._delivered = result
        told = self.told_collections() if self.outlets else {}
        for outlet in self.outlets or ():
            try:
                _attach(told, outlet, context)
            except Exception as error:  # noqa: BLE001 - the work is done and paid for: its event is emitted all the same
                self.log.warning("Could not attach the result to the event of outlet %s: %s", outlet, error)
        return result

    def told_collections(self) -> Mapping[Collection, dict[str, Any]]:
        """
        Give what this process has to tell of each collection.

        :return: Collection to the extra of its event; none where the task has not ended well here.
        """
        return {} if self._delivered is None else self.events_of(self._delivered)

    def events_of(self, result: Mapping[str, Any]) -> Mapping[Collection, dict[str, Any]]:
        """
        Give what the asset events of this task's collections tell; a task with many collections has its own.

        :param result: What the task returns.
        :return: Collection to the extra of its event.
        """
        return {Collection(result["network"], result["contract_address"]): event_of(result)}


def event_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """
    Give what the event of a collection tells of a task's result.

    :param result: What a task with one collection returns.
    :return: ``contract_address, network, state, progress, already_finished, submitted_at, finished_at, polls,
        compute_units`` as the task returns them (None: the task does not know), ``counts`` (None: it counts nothing),
        ``failed_in_part`` (whether anything of the collection that the task looked at is not proven), ``failed`` (how
        many tokens) and ``failures`` (reason to their number, the ten most frequent).
    """
    counts = result.get("counts")
    failed = sum((counts or {}).get(name, 0) for name in ("stale", "failed"))
    by_reason = {reason: found["tokens"] for reason, found in (result.get("failures") or {}).items()}
    return {**{name: result.get(name) for name in RESULT}, "counts": counts, **_failures(failed, by_reason)}


def events_of_batch(result: Mapping[str, Any]) -> dict[Collection, dict[str, Any]]:
    """
    Give what the events of a batch's collections tell.

    Times, polls and compute units are known of the whole batch only: the times are told as limits (not before, not
    after), the rest stands under ``batch``.

    :param result: What a task with many collections returns.
    :return: Collection to what ``event_of`` gives, and ``batch``: ``contracts, finished, failed, already_finished,
        duplicates, polls, compute_units``. A collection that failed in a batch that allows for it has
        ``failed_in_part``, no ``finished_at``, and its reason.
    """
    network = result["network"]
    batch = {**result["counts"], **{name: result[name] for name in _OF_A_BATCH}}
    known = {"network": network, "submitted_at": result["submitted_at"]}
    finished = {"state": RefreshState.FINISHED.value, "progress": 100, "finished_at": result["finished_at"]}
    events = {
        Collection(network, address): {**event_of({**known, **finished, "contract_address": address}), "batch": batch}
        for address in result["finished"]
    }
    for reason, addresses in result["failed"].items():
        state = RefreshState.read(reason).value
        for address in addresses:
            told = event_of({**known, "state": state, "contract_address": address})
            events[Collection(network, address)] = {**told, **_failures(1, {reason: 1}), "batch": batch}
    return events


def _failures(failed: int, by_reason: Mapping[str, int]) -> dict[str, Any]:
    most = sorted(by_reason.items(), key=lambda item: (-item[1], item[0]))[:MOST_REASONS]
    return {"failed_in_part": failed > 0, "failed": failed, "failures": dict(most)}


def _attach(told: Mapping[Collection, dict[str, Any]], outlet: Any, context: Any) -> None:
    uri = getattr(outlet, "uri", "")
    if type(outlet).__name__ == _BY_NAME:
        uri = context["outlet_events"][outlet].key.uri
    known = collection_of(uri)
    if known is not None and known in told:
        # What the DAG's author put there before the task ran stays.
        context["outlet_events"][outlet].extra.update(told[known])


def push_result(task: Any, context: Any, result: dict[str, Any]) -> None:
    """Push what a task that fails would have returned: Airflow does so only for one that ends well."""
    if not task.do_xcom_push:
        return
    values = {**(result if task.multiple_outputs else {}), "return_value": result}
    try:
        for key, value in values.items():
            context["ti"].xcom_push(key=key, value=value)
    except Exception as error:  # noqa: BLE001 - why the task failed is what it must end with
        task.log.warning("Could not push the result: %s", error)
