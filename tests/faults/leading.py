# SPDX-License-Identifier: Apache-2.0
"""Leading a task, a trigger or a watcher through a scene, and naming what it ended with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pendulum
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowTaskTimeout,
    TaskDeferred,
)

from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger
from airflow_provider_alchemy.triggers.wait import WaitEnd
from tests.chain.scenes import FIRST_BLOCK, contract
from tests.faults.expectations import OK
from tests.faults.scene import Scene
from tests.tasks.lives import fire, rebuilt
from tests.triggers.watchers import Store, Triggerer
from tests.waiting import until

WATCHED_CALLS = 4
"""So many calls of a watcher are enough to tell once what is wrong, and not again."""

_COUNTED_IN = {"ContractsFailed": "failed", "TokensFailed": "failures"}
"""The XCom that counts by reason, by what the exception's name begins with."""


def lead_task(task: Any, scene: Scene, on_pause: Callable[[], None]) -> Any:
    """
    Lead a task through its processes, as Airflow does, to its end.

    :param task: The task.
    :param scene: Where it runs.
    :param on_pause: Is told when its first process has ended and the next one has not begun.
    :return: What it returns; what it raises at its end is raised.
    """
    context = scene.context
    step: Callable[[], Any] = partial(task.execute, context)
    while True:
        try:
            return step()
        except AirflowRescheduleException as pause:
            on_pause()
            context["ti"].first_reschedule = context["ti"].first_reschedule or pendulum.now("UTC")
            context["task_reschedule_count"] += 1
            time.sleep(max(0.0, (pause.reschedule_date - pendulum.now("UTC")).total_seconds()))
        except TaskDeferred as deferral:
            on_pause()
            scene.show(deferral.trigger.serialize(), deferral.kwargs or {})
            event = fire(rebuilt(deferral.trigger))
            scene.show(event)
            kwargs = {**(deferral.kwargs or {}), "event": event}
            step = partial(task.resume_execution, deferral.method_name, kwargs, context)


def end_of_task(task: Any, scene: Scene, on_pause: Callable[[], None], is_proven: Callable[[Scene, Any], bool]) -> str:
    """
    Name what a task ends with.

    :param task: The task.
    :param scene: Where it runs.
    :param on_pause: Is told when its first process has ended.
    :param is_proven: Whether the service bears out what the task returns.
    :return: The end, as the expectations name it.
    """
    try:
        result = lead_task(task, scene, on_pause)
    except (Exception, AirflowTaskTimeout) as error:  # noqa: BLE001 - what it raises is what is looked at
        scene.show_error(error)
        scene.show(scene.ti.xcoms)
        return _name_of_exception(error, scene)
    scene.show(result, scene.ti.xcoms)
    return OK if is_proven(scene, result) else f"not true: {result}"


def _name_of_exception(error: BaseException, scene: Scene) -> str:
    name = _short(type(error).__name__)
    counted = next((scene.ti.xcoms[xcom] for start, xcom in _COUNTED_IN.items() if name.startswith(start)), None)
    reasons = "" if counted is None else f"({','.join(sorted(counted))})"
    is_final = isinstance(error, AirflowFailException | AirflowSensorTimeout)
    return f"{name}{reasons}{'!' if is_final else ''}"


def _short(name: str) -> str:
    return name.removeprefix("Alchemy").removesuffix("Error")


def end_of_trigger(trigger: Any, scene: Scene) -> str:
    """
    Name what a trigger by itself ends with.

    :param trigger: The trigger, as the worker hands it over.
    :param scene: Where it runs.
    :return: The end, as the expectations name it.
    """
    scene.show(trigger.serialize())
    try:
        event = fire(rebuilt(trigger))
        while event["status"] == WaitEnd.PROGRESS:
            # A worker saves it and defers the rest.
            scene.show(event)
            trigger.state = event["state"]
            event = fire(rebuilt(trigger))
    except Exception as error:  # noqa: BLE001 - a trigger tells all that goes wrong in its event: this is a wrong end
        scene.show_error(error)
        return f"raised {type(error).__name__}"
    scene.show(event)
    told, state = event.get("error"), event.get("state") or {}
    name = OK if told is None else _short(told["type"])
    if failed := state.get("failed"):
        name = f"ContractsFailed({','.join(sorted(failed))})"
    status = {"Deadline": "timed_out"}.get(name, "failed")
    known = {status} if told else {"finished", "due"}
    return name if event["status"] in known else f"{name} as {event['status']}"


def end_of_watcher(scene: Scene) -> str:
    """
    Let a watcher meet a fault, mend the service where it stays, and name how it took it.

    :param scene: Where it runs.
    :return: The end, as the expectations name it.
    """
    return asyncio.run(_watch(scene))


async def _watch(scene: Scene) -> str:
    emulator, triggerer, store = scene.emulator, Triggerer(), Store()
    emulator.reveal(contract(1), [1])
    emulator.mine_blocks(2)
    trigger = MetadataUpdateTrigger(
        [contract(1)],
        alchemy_conn_id=scene.conn_id,
        confirmations=2,
        poll_interval=0.1,
        start_block=FIRST_BLOCK,
    )
    scene.show(trigger.serialize())
    scene.begin()
    triggerer.start(1, trigger, store)
    try:
        watching = triggerer.tasks[1]
        if scene.stays:
            await until(lambda: watching.done() or triggerer.ids() or scene.asked >= WATCHED_CALLS)
            emulator.clear_faults()
        await until(lambda: watching.done() or triggerer.ids())
        has_ended = watching.done()
    finally:
        await triggerer.stop()
    scene.show(triggerer.events, store.values)
    if has_ended:
        scene.show_error(watching.exception() or RuntimeError("it ended without a word"))
        return "the watcher ended"
    told = [log.id for log in emulator.chain_logs()]
    return OK if triggerer.ids() == told else f"told {triggerer.ids()}, not {told}"
