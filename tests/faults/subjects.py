# SPDX-License-Identifier: Apache-2.0
"""The columns of the matrix: each operator, sensor mode and trigger, and the calls of it that the faults hit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.faults import builders, expectations, worlds
from tests.faults.expectations import (
    BATCH,
    BLOCK,
    LISTING,
    LOGS,
    METADATA,
    NEWEST,
    QUEUE,
    REINGEST,
    Habit,
    told_by_trigger,
)
from tests.faults.leading import end_of_task, end_of_trigger, end_of_watcher
from tests.faults.scene import Scene
from tests.sensors import freshness, minting
from tests.tasks.lives import sensor_in


@dataclass(frozen=True)
class Subject:
    """
    A column of the matrix.

    :param name: What it is called in the table.
    :param endpoint: The endpoint whose calls the faults hit.
    :param habit: How it takes them.
    :param run: Runs it in a scene and names its end.
    :param asks: Whether it calls the service at all.
    """

    name: str
    endpoint: str
    habit: Habit
    run: Callable[[Scene], str]
    asks: bool = True


World = Callable[[Scene], object]


def _nothing(_scene: Scene) -> None:
    """Change nothing."""


def _at_once(
    build: Callable[[Scene], Any], is_proven: Callable[[Scene, Any], bool], world: World = _nothing
) -> Callable[[Scene], str]:
    """Run a task whose first call meets the fault."""

    def run(scene: Scene) -> str:
        world(scene)
        scene.begin()
        return end_of_task(build(scene), scene, lambda: None, is_proven)

    return run


def _after_a_pause(
    build: Callable[[Scene], Any], is_proven: Callable[[Scene, Any], bool], world: World, change: World = _nothing
) -> Callable[[Scene], str]:
    """Run a task that meets the fault in its second process: a triggerer, or another worker."""

    def run(scene: Scene) -> str:
        def begin() -> None:
            if not scene.has_begun:
                change(scene)
                scene.begin()

        world(scene)
        return end_of_task(build(scene), scene, begin, is_proven)

    return run


def _trigger(build: Callable[[Scene], Any], world: World = _nothing) -> Callable[[Scene], str]:
    """Run a trigger by itself."""

    def run(scene: Scene) -> str:
        world(scene)
        scene.begin()
        return end_of_trigger(build(scene), scene)

    return run


_GIVEN = {"token_ids": range(worlds.TOKENS)}

OPERATORS = (
    Subject(
        "operator, submit only",
        REINGEST,
        expectations.SUBMISSION,
        _at_once(builders.operator(), worlds.is_submitted, worlds.job),
    ),
    Subject(
        "operator in worker",
        REINGEST,
        expectations.WAIT,
        _at_once(builders.operator(wait_for_completion=True, deferrable=False), worlds.is_finished, worlds.job),
    ),
    Subject(
        "operator deferred",
        REINGEST,
        expectations.WAIT,
        _after_a_pause(
            builders.operator(wait_for_completion=True, deferrable=True),
            worlds.is_finished,
            worlds.long_job,
            worlds.end_of_job,
        ),
    ),
    Subject(
        "contracts deferred",
        REINGEST,
        expectations.CONTRACTS,
        _after_a_pause(builders.contracts_operator, worlds.all_are_finished, worlds.job),
    ),
    Subject(
        "collection, contract",
        METADATA,
        expectations.SINGLE,
        _at_once(builders.collection(method="queue"), worlds.are_refreshed, worlds.tokens),
    ),
    Subject(
        "collection, list",
        LISTING,
        expectations.LISTED,
        _at_once(builders.collection(), worlds.are_refreshed, worlds.tokens),
    ),
    Subject(
        "collection batch in worker",
        BATCH,
        expectations.TOKENS,
        _at_once(builders.collection(**_GIVEN), worlds.are_refreshed, worlds.tokens),
    ),
    Subject(
        "collection batch deferred",
        BATCH,
        expectations.TOKENS,
        _after_a_pause(builders.collection(deferrable=True, **_GIVEN), worlds.are_refreshed, worlds.stale_tokens),
    ),
    Subject(
        "collection queue in worker",
        QUEUE,
        expectations.QUEUED_TOKENS,
        _at_once(builders.collection(method="queue", **_GIVEN), worlds.are_refreshed, worlds.tokens),
    ),
    Subject(
        "collection queue deferred, proof",
        BATCH,
        expectations.TOKENS,
        _after_a_pause(
            builders.collection(method="queue", deferrable=True, **_GIVEN), worlds.are_refreshed, worlds.slow_tokens
        ),
    ),
)

SENSORS = (
    Subject(
        "sensor poke",
        REINGEST,
        expectations.WAIT,
        _at_once(builders.sensor(sensor_in, "poke"), worlds.is_finished, worlds.job),
    ),
    Subject(
        "sensor reschedule",
        REINGEST,
        expectations.WAIT,
        _after_a_pause(
            builders.sensor(sensor_in, "reschedule"), worlds.is_finished, worlds.long_job, worlds.end_of_job
        ),
    ),
    Subject(
        "sensor deferred",
        REINGEST,
        expectations.WAIT,
        _after_a_pause(builders.sensor(sensor_in, "deferred"), worlds.is_finished, worlds.long_job, worlds.end_of_job),
    ),
    Subject(
        "fresh sensor poke",
        BATCH,
        expectations.WAIT,
        _at_once(builders.sensor(freshness.sensor_in, "poke", **_GIVEN), worlds.are_fresh, worlds.fresh_tokens),
    ),
    Subject(
        "fresh sensor reschedule",
        BATCH,
        expectations.WAIT,
        _after_a_pause(
            builders.sensor(freshness.sensor_in, "reschedule", **_GIVEN),
            worlds.are_fresh,
            worlds.tokens,
            change=worlds.fresh_tokens,
        ),
    ),
    Subject(
        "fresh sensor deferred",
        BATCH,
        expectations.WAIT,
        _after_a_pause(
            builders.sensor(freshness.sensor_in, "deferred", **_GIVEN),
            worlds.are_fresh,
            worlds.tokens,
            change=worlds.fresh_tokens,
        ),
    ),
    Subject(
        "fresh sensor, list",
        LISTING,
        expectations.LISTED_WAIT,
        _at_once(builders.sensor(freshness.sensor_in, "poke"), worlds.are_fresh, worlds.fresh_tokens),
    ),
    Subject(
        "new tokens sensor poke",
        NEWEST,
        expectations.WAIT,
        _at_once(builders.sensor(minting.sensor_in, "poke", since_block=minting.FIRST), worlds.is_minted, worlds.mint),
    ),
    Subject(
        "new tokens sensor reschedule",
        LOGS,
        expectations.CHAIN_LOGS,
        _after_a_pause(
            builders.sensor(minting.sensor_in, "reschedule"), worlds.is_minted, _nothing, change=worlds.mint
        ),
    ),
    Subject(
        "new tokens sensor deferred",
        LOGS,
        expectations.CHAIN_LOGS,
        _after_a_pause(builders.sensor(minting.sensor_in, "deferred"), worlds.is_minted, _nothing, change=worlds.mint),
    ),
    Subject(
        "new tokens sensor, block",
        BLOCK,
        expectations.WAIT,
        _at_once(
            builders.sensor(minting.sensor_in, "poke", since="2026-01-01T00:00:00Z"), worlds.is_minted, worlds.mint
        ),
    ),
)

TRIGGERS = (
    Subject("trigger", REINGEST, told_by_trigger(expectations.WAIT), _trigger(builders.reingest_trigger, worlds.job)),
    Subject(
        "trigger that submits",
        REINGEST,
        told_by_trigger(expectations.WAIT),
        _trigger(builders.starting_trigger, worlds.job),
    ),
    Subject(
        "contracts trigger", REINGEST, expectations.CONTRACTS_TRIGGER, _trigger(builders.contracts_trigger, worlds.job)
    ),
    Subject(
        "collection trigger",
        BATCH,
        expectations.UNTOUCHED,
        _trigger(builders.next_attempt_trigger),
        asks=False,
    ),
    Subject(
        "fresh trigger",
        BATCH,
        told_by_trigger(expectations.WAIT),
        _trigger(builders.fresh_trigger, worlds.fresh_tokens),
    ),
    Subject(
        "new tokens trigger",
        LOGS,
        told_by_trigger(expectations.CHAIN_LOGS),
        _trigger(builders.new_tokens_trigger, worlds.mint),
    ),
    Subject("watcher, newest block", NEWEST, expectations.WATCHER, end_of_watcher),
    Subject("watcher, logs", LOGS, expectations.WATCHER, end_of_watcher),
)

SUBJECTS = (*OPERATORS, *SENSORS, *TRIGGERS)
