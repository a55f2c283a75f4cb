# SPDX-License-Identifier: Apache-2.0
"""What the web UI calls a mapped task's instances: by their collection, not by a number."""

from __future__ import annotations

from typing import Any

MAP_INDEX_TEMPLATE = "{{ task.contract_address }}"
"""What the web UI shows for a mapped task in place of its number."""


def label_mapped_task(context: Any) -> None:
    """
    Make the web UI show a mapped task's collection also before Airflow 3.3, which takes it from the operator.

    :param context: The task's context.
    """
    if getattr(context["ti"], "map_index", -1) >= 0 and context.get("map_index_template") is None:
        context["map_index_template"] = MAP_INDEX_TEMPLATE
