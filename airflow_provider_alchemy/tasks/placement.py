# SPDX-License-Identifier: Apache-2.0
"""
Where a task starts and ends: in a worker, or in the triggerer without any (``start_from_trigger`` and so on).

Airflow 3.3 can do less in the triggerer than in a worker. What it cannot do there would hang or be lost when the task
runs, so it is refused where the DAG is parsed: Airflow itself says nothing.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import conf
from airflow.providers.common.compat.version_compat import get_base_airflow_version_tuple
from airflow.triggers.base import StartTriggerArgs

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.tasks.arguments import is_template
from airflow_provider_alchemy.tasks.failures import final
from airflow_provider_alchemy.triggers.reingest import BACK_STOP

CONFIG_SECTION = "alchemy"

TRIGGERER_RENDERS = get_base_airflow_version_tuple() >= (3, 3)
"""Whether the triggerer renders templates and lets a trigger push XComs."""

_ASKS_THE_WORKERS_CHANNEL = (
    r"xcom_pull|prev_\w+_success|get_previous_dagrun|get_first_reschedule_date|get_task_breadcrumbs|get_dag\b|"
    r"inlet_events|outlet_events|task_state_store"
)
"""What a template asks for in messages that the triggerer's supervisor refuses: the task would hang."""

_OWN_MODULES = ("airflow.", "airflow_provider_alchemy.")


@dataclass(frozen=True, slots=True)
class Obstacle:
    """
    Why a task cannot do in the triggerer what it was asked to.

    :param argument: ``start_from_trigger`` or ``end_from_trigger``.
    :param reason: What stands in the way.
    :param advice: What to do instead.
    :param is_refused: Whether the DAG's author must mend it; else the worker does it.
    """

    argument: str
    reason: str
    advice: str
    is_refused: bool = True


class LateStartTriggerArgs:
    """
    What the scheduler makes a task's first trigger of; an attribute of the task's class.

    It is read from the task as late as the DAG is serialized: a cluster policy may change a task after it was built.
    """

    def __get__(self, task: Any, owner: Any = None) -> StartTriggerArgs | None:
        """Give it for a task that starts in the triggerer, and None for any other and for the class."""
        return _start_trigger_args(task) if task is not None and task.start_from_trigger else None


def place(task: Any, *, start_from_trigger: bool | None, end_from_trigger: bool | None) -> None:
    """
    Decide where a task starts and ends, and set what Airflow reads for it.

    :param task: The task, with its arguments set: ``deferrable``, ``start_from_trigger`` and ``end_from_trigger`` are
        set here. Its class has ``LateStartTriggerArgs``.
    :param start_from_trigger: Whether it starts in the triggerer; None: as ``[alchemy] start_from_trigger`` says, for
        a deferrable task that can.
    :param end_from_trigger: The same for its end.
    :raises AlchemyArgumentError: It was asked for what Airflow cannot do.
    """
    asked = {"start_from_trigger": start_from_trigger, "end_from_trigger": end_from_trigger}
    task.deferrable = bool(task.deferrable or any(asked.values()))
    for argument, wish in asked.items():
        # Instance attributes, because Airflow's class attributes are shared by every task of the class.
        setattr(task, argument, task.deferrable and (_configured(argument) if wish is None else bool(wish)))
    task.fallbacks = []
    for obstacle in _obstacles(task, asked):
        setattr(task, obstacle.argument, False)
        # What a whole installation is configured for cannot be meant for a task that it does not fit.
        if asked[obstacle.argument]:
            _refuse_or_warn(task, obstacle)


def ends_in_triggerer(task: Any) -> bool:
    """
    Tell whether a task ends in the triggerer, when its trigger is made.

    :param task: The task.
    :return: Whether it was placed there, and no cluster policy has given it since what only a worker does.
    """
    return bool(task.end_from_trigger) and next(_obstacles_to_end(task), None) is None


def warn_of_mapping(task: Any) -> None:
    """
    Say in a mapped task's log what of its placement is not used: where the DAG is parsed nobody can know.

    :param task: The task.
    """
    for sentence in task.fallbacks:
        task.log.warning(sentence)


def _configured(argument: str) -> bool:
    return bool(conf.getboolean(CONFIG_SECTION, argument, fallback=False))


def _obstacles(task: Any, asked: dict[str, bool | None]) -> Iterator[Obstacle]:
    """Look for what stands in the way of what is still wanted, one for each end of the task at most."""
    if task.start_from_trigger and (obstacle := next(_obstacles_to_start(task), None)):
        yield obstacle
    if task.end_from_trigger and (obstacle := next(_obstacles_to_end(task), None)):
        yield obstacle
    if task.start_from_trigger and task.end_from_trigger:
        only_start_is_asked = asked["start_from_trigger"] and not asked["end_from_trigger"]
        argument = "end_from_trigger" if only_start_is_asked else "start_from_trigger"
        for name, is_there in (
            ("on_execute_callback", task.on_execute_callback),
            ("pre_execute", _has_own(task, "pre_execute")),
        ):
            if is_there:
                yield _lost(argument, name, "no worker runs")
                return


def _obstacles_to_start(task: Any) -> Iterator[Obstacle]:
    argument = "start_from_trigger"
    if _is_mapped_instance(task) or task.get_closest_mapped_task_group() is not None:
        yield Obstacle(argument, "Airflow starts no mapped task in the triggerer", "", is_refused=False)
    if _has_own(task, "execute"):
        yield _lost(argument, "execute", "no worker runs at the start")
    templates = {name: value for name in task.template_fields if is_template(value := getattr(task, name, None))}
    for name, value in templates.items():
        advice = (
            f"Give {name} as a literal or a plain template such as '{{{{ params.{name} }}}}', or leave out "
            "start_from_trigger: deferrable=True takes no worker slot for the wait either"
        )
        if not isinstance(value, str):
            reason = f"argument {name!r} is the output of another task (XComArg), which the triggerer does not resolve"
            yield Obstacle(argument, reason, advice)
        elif used := _used_of_a_worker(task, value):
            yield Obstacle(argument, f"argument {name!r} uses {used}, which only a worker has", advice)
    if templates and not TRIGGERER_RENDERS:
        reason = f"argument {next(iter(templates))!r} is a template, which the triggerer renders from Airflow 3.3 on"
        yield Obstacle(argument, reason, "", is_refused=False)


def _obstacles_to_end(task: Any) -> Iterator[Obstacle]:
    argument = "end_from_trigger"
    if not TRIGGERER_RENDERS:
        yield Obstacle(argument, "a trigger can push no XCom before Airflow 3.3", "", is_refused=False)
    if task.outlets:
        yield Obstacle(
            argument,
            "the task has outlets, and Airflow emits no asset event for a task that ends in the triggerer",
            "Leave out end_from_trigger, or put the outlets on the task after this one",
        )
    for name, is_there in (
        # Airflow 3.3 asks the DAG processor to call it, which then calls those of failures only.
        ("on_success_callback", task.on_success_callback),
        ("post_execute", _has_own(task, "post_execute")),
        ("execute_complete", _has_own(task, "execute_complete")),
    ):
        if is_there:
            yield _lost(argument, name, "no worker runs at the end")


def _lost(argument: str, name: str, why: str) -> Obstacle:
    return Obstacle(
        argument, f"{name} is called in a worker only, and {why}", f"Leave {name} out, or leave out {argument}"
    )


def _has_own(task: Any, method: str) -> bool:
    """Tell whether a task has a method that its user wrote: as an argument (``pre_execute``) or in a subclass."""
    is_overridden = not getattr(type(task), method).__module__.startswith(_OWN_MODULES)
    return is_overridden or getattr(task, f"_{method}_hook", None) is not None


def _used_of_a_worker(task: Any, template: str) -> str | None:
    # The triggerer has the DAG as it was serialized, which is without what its author defined for templates.
    dag = task.get_dag()
    own = (*(dag.user_defined_macros or ()), *(dag.user_defined_filters or ())) if dag is not None else ()
    names = [rf"\b{re.escape(name)}\b" for name in own]
    found = re.search("|".join((_ASKS_THE_WORKERS_CHANNEL, *names)), template)
    return found.group() if found else None


def _is_mapped_instance(task: Any) -> bool:
    # Airflow tells an operator's constructor in no other way that it builds one of a mapped task's instances.
    return bool(getattr(task, "_BaseOperator__from_mapped", False))


def _refuse_or_warn(task: Any, obstacle: Obstacle) -> None:
    if obstacle.is_refused:
        msg = f"task {task.task_id!r} cannot have {obstacle.argument}=True: {obstacle.reason}"
        raise final(AlchemyArgumentError(msg, advice=obstacle.advice))
    sentence = f"Task {task.task_id!r}: {obstacle.reason}. {obstacle.argument} is not used, a worker does it."
    if _is_mapped_instance(task):
        task.fallbacks.append(sentence)
    else:
        warnings.warn(sentence, UserWarning, stacklevel=5)


def _start_trigger_args(task: Any) -> StartTriggerArgs:
    """Give what the scheduler makes the trigger of. It is stored with the DAG: no moments in it, only durations."""
    path, arguments = task.first_trigger().serialize()
    return StartTriggerArgs(
        trigger_cls=path,
        trigger_kwargs=arguments,
        next_method="execute_complete",
        next_kwargs=None,
        timeout=timedelta(seconds=task.time_limit_seconds()) + BACK_STOP,
    )
