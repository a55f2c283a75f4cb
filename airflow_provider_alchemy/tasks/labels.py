# SPDX-License-Identifier: Apache-2.0
"""What the web UI calls a mapped task's instances: by their collection, not by a number."""

from __future__ import annotations

from typing import Any

MAP_INDEX_TEMPLATE = "{{ task.contract_address }}"
"""What the web UI shows for a mapped task in place of its number."""

_NATIVE_TEMPLATE = f"Collection {MAP_INDEX_TEMPLATE}"
"""The same in a DAG with ``render_template_as_native_obj``, where Jinja makes a number of an address alone, and Airflow
fails the task for it."""


def label_mapped_task(context: Any) -> None:
    """
    Make the web UI show a mapped task's collection also before Airflow 3.3, which takes it from the operator.

    :param context: The task's context.
    """
    template = context.get("map_index_template")
    if template not in {None, MAP_INDEX_TEMPLATE}:
        return
    if getattr(context.get("dag"), "render_template_as_native_obj", False):
        context["map_index_template"] = _NATIVE_TEMPLATE
    elif getattr(context["ti"], "map_index", -1) >= 0:
        context["map_index_template"] = MAP_INDEX_TEMPLATE
