# SPDX-License-Identifier: Apache-2.0
"""Each version has left its traces, and today's code leaves those that are kept for it."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module

import pytest
from airflow.triggers.base import BaseTrigger

import airflow_provider_alchemy.triggers
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.released.kept import COMMAND, expected_versions, form, kept_scenes, kept_versions, present_version, read
from tests.released.playing import WATCHER, play
from tests.released.scenes import SCENES
from tests.tasks.batches import Variables


def test_each_version_of_the_changelog_has_kept_what_it_left() -> None:
    assert kept_versions() == expected_versions(), f"write what is missing with: {COMMAND}"


@pytest.mark.integration
@pytest.mark.parametrize("scene", [*SCENES, WATCHER])
def test_todays_code_leaves_what_is_kept_for_its_version(
    scene: str, emulator: AlchemyEmulator, variables: Variables
) -> None:
    version = present_version()
    advice = f"what goes through Airflow's database has changed: look at each place, then run {COMMAND}"

    assert form(play(scene, emulator, variables)) == form(read(version, scene)), advice


def test_no_scene_is_kept_that_nobody_plays() -> None:
    version = present_version()
    assert {scene for kept_in, scene in kept_scenes() if kept_in == version} == {*SCENES, WATCHER}


def test_each_trigger_is_kept() -> None:
    kept = [read(version, scene) for version, scene in kept_scenes() if version == present_version()]
    paths = {(scene.get("deferred") or scene["watcher"])["classpath"] for scene in kept}
    assert paths == _classes_of_triggers()


def _classes_of_triggers() -> set[str]:
    package = airflow_provider_alchemy.triggers
    found: set[str] = set()
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        for name, value in vars(import_module(module.name)).items():
            is_ours = inspect.isclass(value) and value.__module__ == module.name
            if is_ours and issubclass(value, BaseTrigger) and not inspect.isabstract(value):
                found.add(f"{module.name}.{name}")
    return found
