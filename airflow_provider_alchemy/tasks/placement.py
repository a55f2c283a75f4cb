# SPDX-License-Identifier: Apache-2.0
"""
Where a task starts and ends: in a worker, or in the triggerer without any.

Airflow 3.3 can do less in the triggerer than in a worker, and says nothing of what it leaves out. So that is refused
where the DAG is parsed.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf
from airflow.providers.common.compat.version_compat import get_base_airflow_version_tuple

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.defaults import BACK_STOP
from airflow_provider_alchemy.tasks.arguments import is_template, map_index_of
from airflow_provider_alchemy.tasks.exceptions import final

if TYPE_CHECKING:
    from airflow.triggers.base import StartTriggerArgs

CONFIG_SECTION = "alchemy"
START, END = "start_from_trigger", "end_from_trigger"

CAN_END_IN_TRIGGERER = get_base_airflow_version_tuple() >= (3, 3)
"""Whether a trigger can push XComs."""

_OWN_MODULES = ("airflow.", "airflow_provider_alchemy.")


class LateStartTriggerArgs:
    """
    What the scheduler makes a task's first trigger of; an attribute of the task's class.

    It is read from the task as late as the DAG is serialized: a cluster policy may change a task after it was built.
    """

    def __get__(self, task: Any, owner: Any = None) -> StartTriggerArgs | None:
        """Give it for a task that starts in the triggerer, and None for any other and for the class."""
        if task is None or not task.start_from_trigger:
            return None
        # Few tasks start in the triggerer, and it takes as long to load as all sensors together.
        from airflow.triggers.base import StartTriggerArgs  # noqa: PLC0415

        # Stored with the DAG: no moments in it, only durations.
        path, arguments = task.first_trigger().serialize()
        return StartTriggerArgs(
            trigger_cls=path,
            trigger_kwargs=arguments,
            next_method="execute_complete",
            next_kwargs=None,
            timeout=timedelta(seconds=task.time_limit_seconds()) + BACK_STOP,
        )


@cache
def is_configured(argument: str) -> bool:
    """Read Airflow's configuration once: for each task it took a fourth of the time to build one."""
    return bool(conf.getboolean(CONFIG_SECTION, argument, fallback=False))


def place(task: Any, *, start_from_trigger: bool | None, end_from_trigger: bool | None) -> None:
    """Set ``deferrable`` and both arguments as Airflow reads them; refuse where the task asks for what cannot be."""
    asked = {START: start_from_trigger, END: end_from_trigger}
    task.deferrable = bool(task.deferrable or any(asked.values()))
    for argument, value in asked.items():
        # Instance attributes, because Airflow's class attributes are shared by every task of the class.
        setattr(task, argument, task.deferrable and bool(is_configured(argument) if value is None else value))
    if task.end_from_trigger and not CAN_END_IN_TRIGGERER:
        task.end_from_trigger = False
        if end_from_trigger:
            sentence = f"Task {task.task_id!r} ends in a worker: {END} needs Airflow 3.3"
            warnings.warn(sentence, UserWarning, stacklevel=4)
    only_start_is_asked = bool(start_from_trigger) and not end_from_trigger
    for argument, obstacles in (
        (START, _obstacles_to_start),
        (END, _obstacles_to_end),
        (END if only_start_is_asked else START, _obstacles_to_both),
    ):
        obstacle = next(obstacles(task), None) if getattr(task, argument) else None
        if obstacle is not None:
            setattr(task, argument, False)
            if asked[argument]:
                msg = f"task {task.task_id!r} cannot have {argument}=True: {obstacle}"
                raise final(AlchemyArgumentError(msg, advice=f"Change that, or leave out {argument}"))


def ends_in_triggerer(task: Any) -> bool:
    """Whether the task may end there, as of when the trigger is made, also after a cluster policy changed the task."""
    return bool(task.end_from_trigger) and next(_obstacles_to_end(task), None) is None


def warn_of_mapping(task: Any, context: Any) -> None:
    """Log in a mapped task that it starts in a worker: where the DAG is parsed, no instance of it exists."""
    if task.start_from_trigger and map_index_of(context) >= 0:
        task.log.warning("Airflow starts no mapped task in the triggerer: %s is not used", START)


def _obstacles_to_start(task: Any) -> Iterator[str]:
    for name in task.template_fields:
        if is_template(getattr(task, name, None)):
            yield f"argument {name!r} is a template or the output of another task, which only a worker resolves"
    if task.get_closest_mapped_task_group() is not None:
        yield "Airflow starts no mapped task in the triggerer"
    if _is_overridden(task, "execute"):
        yield "execute is called in a worker only, and no worker runs at the start"


def _obstacles_to_end(task: Any) -> Iterator[str]:
    if task.outlets:
        yield "the task has outlets, and Airflow emits no asset event for a task that ends in the triggerer"
    if task.on_success_callback:
        yield "on_success_callback is called in a worker only, and no worker runs at the end"
    for method in ("post_execute", "execute_complete"):
        if _is_overridden(task, method):
            yield f"{method} is called in a worker only, and no worker runs at the end"


def _obstacles_to_both(task: Any) -> Iterator[str]:
    if not (task.start_from_trigger and task.end_from_trigger):
        return
    if task.on_execute_callback:
        yield "on_execute_callback is called in a worker only, and no worker runs"
    if _is_overridden(task, "pre_execute"):
        yield "pre_execute is called in a worker only, and no worker runs"


def _is_overridden(task: Any, method: str) -> bool:
    """Whether a user wrote a method: in a subclass, or as an argument (``pre_execute``, ``post_execute``)."""
    in_subclass = not getattr(type(task), method).__module__.startswith(_OWN_MODULES)
    return in_subclass or getattr(task, f"_{method}_hook", None) is not None
