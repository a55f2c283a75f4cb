# SPDX-License-Identifier: Apache-2.0
"""What every task about collections has: rendering, labels in the web UI, asset events and lineage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_alchemy.assets.uris import Collection, collection_of, dataset_of
from airflow_provider_alchemy.links.collection import ContractLink, DashboardLink
from airflow_provider_alchemy.tasks import lazy
from airflow_provider_alchemy.tasks.arguments import is_template, map_index_of, with_large_as_text, without_none

MAP_INDEX_TEMPLATE = "{{ task.contract_address }}"
"""What the web UI shows for a mapped task in place of its number."""

# In a DAG with render_template_as_native_obj Jinja makes a number of an address alone, and Airflow fails the task.
_NATIVE_MAP_INDEX_TEMPLATE = f"Collection {MAP_INDEX_TEMPLATE}"

_RENDERS_TEXT: Any = SimpleNamespace(render_template_as_native_obj=False)
"""All that Airflow reads of a DAG when it renders a template."""

MAX_EVENT_REASONS = 10
"""Reasons of failures that an asset event names; the task's result has them all."""

# Airflow 3's outlet that only names an asset; the database knows its URI. Airflow 2 has no such class.
_NAMED_OUTLET = "AssetNameRef"


class CollectionTask(BaseOperator):
    operator_extra_links: Sequence[Any] = (ContractLink(), DashboardLink())
    ui_color = "#dbe9ff"

    xcom_keys: ClassVar[Sequence[str]] = ("contract_address",)
    """The keys of the result that are XComs of their own without ``multiple_outputs`` too."""

    only_reads: ClassVar[bool] = False
    """Whether the task reads collections, as sensors do, instead of refreshing them: for OpenLineage."""

    known_network: str | None = None
    """The network that the task works on, once the connection or an earlier process has said it."""

    # Airflow asks for the lineage after execute, in the same process; the task instance does not have the result.
    _result: dict[str, Any] | None = None

    def render_template(
        self, content: Any, context: Any, jinja_env: Any = None, seen_oids: set[int] | None = None
    ) -> Any:
        """
        Render a template as a text, and leave every other text as it is.

        In a DAG with ``render_template_as_native_obj`` Jinja would make a number of an address; and it takes seconds
        for ten thousand of them in each worker.
        """
        if isinstance(content, str) and not is_template(content):
            return content
        dag = self.get_dag()
        # Airflow's environment for texts is sandboxed, its native one is not. A list's items take that of the list.
        if dag is not None and not getattr(jinja_env, "sandboxed", False):
            jinja_env = dag.get_template_env(force_sandboxed=True)
        # Airflow stores what was rendered.
        return with_large_as_text(super().render_template(content, context, jinja_env, seen_oids))

    def render_template_fields(self, context: Any, jinja_env: Any = None) -> None:
        # Airflow renders the label of a task that is not mapped too, and sends it to the API server in each process.
        if map_index_of(context) < 0 and "map_index_template" in context:
            context["map_index_template"] = None
        super().render_template_fields(context, jinja_env)

    def _render(self, template: Any, context: Any, dag: Any = None) -> Any:  # noqa: ARG002 - Airflow's own signature
        return super()._render(template, context, dag=_RENDERS_TEXT)

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Begin a mapped task as Airflow does, with whole numbers in its arguments that Airflow can serialise."""
        partial: Any = super().partial(**without_none(with_large_as_text(kwargs)))
        partial_type: Any = type(partial)
        partial.__class__ = _with_expand(partial_type)
        return partial

    def label_mapped_task(self, context: Any) -> None:
        """Make the web UI show a mapped task's collection before Airflow 3.3 too, which takes it from the operator."""
        if map_index_of(context) < 0 or context.get("map_index_template") not in {None, MAP_INDEX_TEMPLATE}:
            return
        is_native = getattr(context.get("dag"), "render_template_as_native_obj", False)
        context["map_index_template"] = _NATIVE_MAP_INDEX_TEMPLATE if is_native else MAP_INDEX_TEMPLATE

    def complete(self, context: Any, result: dict[str, Any]) -> dict[str, Any]:
        """End well: add the result to the events that Airflow emits for the task's outlets, and push its XComs."""
        self._result = result
        self.known_network = result["network"]
        if not self.multiple_outputs:
            push_xcoms(self, context, {key: result[key] for key in self.xcom_keys})
        for outlet in self.outlets or ():
            try:
                _add_to_event(self.events_of(result), outlet, context)
            except Exception as error:  # noqa: BLE001 - the work is done and paid for: its event is emitted all the same
                self.log.warning("Could not add the result to the event of outlet %s: %s", outlet, error)
        return result

    def events_of(self, result: Mapping[str, Any]) -> Mapping[Collection, dict[str, Any]]:
        return {Collection(result["network"], result["contract_address"]): event_of(result)}

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - OpenLineage's own signature
        """
        Give OpenLineage the collections that the task has refreshed (outputs) or, for a sensor, read (inputs).

        Without datasets, where the task did not end well in this process, OpenLineage takes its inlets and outlets.
        """
        try:
            from airflow.providers.openlineage.extractors import OperatorLineage  # noqa: PLC0415 - no dependency
        except ImportError:
            return None
        datasets = [] if self._result is None else [dataset_of(known) for known in self.events_of(self._result)]
        return OperatorLineage(inputs=datasets) if self.only_reads else OperatorLineage(outputs=datasets)


@cache
def _with_expand(partial_type: type[Any]) -> type[Any]:
    """Give Airflow's class of a task that is about to be mapped, with ``expand`` and ``expand_kwargs`` of our own."""

    class Partial(partial_type):  # type: ignore[misc]  # known at run time only: it has another place in Airflow 2
        __slots__ = ()

        def expand(self, **mapped_kwargs: Any) -> Any:
            return super().expand(**with_large_as_text(mapped_kwargs))

        def expand_kwargs(self, kwargs: Any, *, strict: bool = True) -> Any:
            return super().expand_kwargs(with_large_as_text(kwargs), strict=strict)

    return Partial


def push_result(task: Any, context: Any, result: dict[str, Any]) -> None:
    """Push what a failing task would return: Airflow does so only for a task that ends well."""
    keys = result if task.multiple_outputs else task.xcom_keys
    push_xcoms(task, context, {**{key: result[key] for key in keys}, "return_value": result})


def push_xcoms(task: Any, context: Any, values: Mapping[str, Any]) -> None:
    """Push XComs, unless the task pushes none or runs outside Airflow."""
    push = getattr(context.get("ti"), "xcom_push", None)
    if push is None or not task.do_xcom_push:
        return
    try:
        for key, value in values.items():
            push(key=key, value=value)
    except Exception as error:  # noqa: BLE001 - the work is done and paid for, or the task fails for another reason
        task.log.warning("Could not push the result: %s", error)


def event_of(result: Mapping[str, Any]) -> dict[str, Any]:
    """
    Give the extra of a collection's asset event for a task's result.

    :param result: What a task with one collection returns.
    :return: ``contract_address, network, state, progress, already_finished, submitted_at, finished_at, polls,
        compute_units, usd`` as the task returns them (None: unknown), ``counts`` (None: it counts nothing),
        ``failed_in_part`` (whether any token that the task read is not proven), ``failed`` (how many tokens) and
        ``failures`` (reason to their number, the ten most frequent).
    """
    counts = result.get("counts")
    failed = sum((counts or {}).get(name, 0) for name in ("stale", "failed"))
    by_reason = {reason: found["tokens"] for reason, found in (result.get("failures") or {}).items()}
    return {
        **{name: result.get(name) for name in lazy.reingest.RESULT_KEYS},
        "counts": counts,
        **_failures(failed, by_reason),
    }


def events_of_batch(result: Mapping[str, Any]) -> dict[Collection, dict[str, Any]]:
    """
    Give the extras of the asset events of a batch's collections.

    Times, polls and costs are known of the whole batch only: the times are limits (not before, not after),
    the rest stands under ``batch``.

    :param result: What a task with many collections returns.
    :return: Collection to what ``event_of`` gives, and ``batch``: ``contracts, finished, failed, already_finished,
        duplicates, polls, compute_units, usd``. A collection that failed in a batch that allows for it has
        ``failed_in_part``, no ``finished_at``, and its reason.
    """
    network = result["network"]
    batch = {**result["counts"], **{name: result[name] for name in ("polls", "compute_units", "usd")}}
    known = {"network": network, "submitted_at": result["submitted_at"]}
    finished = {"state": lazy.models.RefreshState.FINISHED.value, "progress": 100, "finished_at": result["finished_at"]}
    events = {
        Collection(network, address): {**event_of({**known, **finished, "contract_address": address}), "batch": batch}
        for address in result["finished"]
    }
    for reason, addresses in result["failed"].items():
        state = lazy.models.RefreshState.read(reason).value
        for address in addresses:
            event = event_of({**known, "state": state, "contract_address": address})
            events[Collection(network, address)] = {**event, **_failures(1, {reason: 1}), "batch": batch}
    return events


def _failures(failed: int, by_reason: Mapping[str, int]) -> dict[str, Any]:
    most = sorted(by_reason.items(), key=lambda item: (-item[1], item[0]))[:MAX_EVENT_REASONS]
    return {"failed_in_part": failed > 0, "failed": failed, "failures": dict(most)}


def _add_to_event(events: Mapping[Collection, dict[str, Any]], outlet: Any, context: Any) -> None:
    uri = getattr(outlet, "uri", "")
    if type(outlet).__name__ == _NAMED_OUTLET:
        uri = context["outlet_events"][outlet].key.uri
    collection = collection_of(uri)
    if collection is not None and collection in events:
        # What the DAG's author put there before the task ran stays.
        context["outlet_events"][outlet].extra.update(events[collection])
