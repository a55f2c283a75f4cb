# SPDX-License-Identifier: Apache-2.0
"""
Ending a task in the triggerer, without a worker: its XComs, as a worker would have pushed them.

XComs that are given to ``TaskSuccessEvent`` reach the next task as JSON text, not as the value (Airflow 3.3). So the
result is pushed here, over the channel that the triggerer gives its triggers, before the event ends the task. The links
go with the event: the web UI reads JSON text as well, and each message costs the triggerer as much as several polls.
"""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import XCom
from airflow.triggers.base import TaskSuccessEvent

from airflow_provider_alchemy.links.collection import link_xcoms

RETURN_VALUE = "return_value"

WANTED_KEYS = ("contract_address",)
"""The keys that are XComs of their own unless the task says otherwise: each costs as much as several polls."""


async def push_result(task_instance: Any, result: dict[str, Any], *, multiple_outputs: bool | None) -> None:
    """
    Push what the task returns.

    :param task_instance: The task instance, as the triggerer knows it.
    :param result: What the task returns.
    :param multiple_outputs: Whether each key of the result is an XCom of its own as well; None: those that the next
        task most likely wants.
    """
    keys = WANTED_KEYS if multiple_outputs is None else tuple(result) if multiple_outputs else ()
    for key in keys:
        await _push(task_instance, key, result[key])
    # Its length is what a downstream task that maps over it needs. The worker knows whether there is one, the
    # triggerer does not: told for nothing it does no harm.
    length = len(result) if task_instance.map_index < 0 else None
    await _push(task_instance, RETURN_VALUE, result, _mapped_length=length)


def success_event(result: dict[str, Any]) -> TaskSuccessEvent:
    """
    Give the event that ends the task.

    :param result: What the task returns.
    :return: The event, with the links that the web UI shows at the task.
    """
    return TaskSuccessEvent(xcoms=dict(link_xcoms(result)))


async def _push(task_instance: Any, key: str, value: Any, **further: Any) -> None:
    await XCom.aset(
        key=key,
        value=value,
        dag_id=task_instance.dag_id,
        task_id=task_instance.task_id,
        run_id=task_instance.run_id,
        map_index=task_instance.map_index,
        **further,
    )
