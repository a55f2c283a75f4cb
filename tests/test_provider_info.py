# SPDX-License-Identifier: Apache-2.0
"""What Airflow reads of this provider at start-up, and what it finds there."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files

import jsonschema  # type: ignore[import-untyped]
import pytest
from airflow.providers_manager import ProvidersManager

from airflow_provider_alchemy import __version__
from airflow_provider_alchemy.get_provider_info import get_provider_info
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook

PACKAGE = "airflow-provider-alchemy"


def modules() -> list[str]:
    info = get_provider_info()
    groups = [group for kind in ("hooks", "operators", "sensors", "triggers") for group in info[kind]]
    return [module for group in groups for module in group["python-modules"]]


def test_it_is_valid_against_the_schema_that_airflow_ships() -> None:
    schema = json.loads(files("airflow").joinpath("provider_info.schema.json").read_text())

    jsonschema.validate(get_provider_info(), schema)


def test_it_is_json() -> None:
    info = get_provider_info()

    assert json.loads(json.dumps(info)) == info


def test_its_version_is_the_packages() -> None:
    assert get_provider_info()["versions"] == [__version__]


def test_every_module_that_it_names_can_be_imported() -> None:
    names = modules()

    assert names
    for name in names:
        import_module(name)


def test_every_link_that_it_names_can_be_imported() -> None:
    for path in get_provider_info().get("extra-links", []):
        module, name = path.rsplit(".", 1)
        assert isinstance(getattr(import_module(module), name), type)


@pytest.mark.parametrize("key", ["asset-uris", "dataset-uris"])
@pytest.mark.parametrize("part", ["handler", "factory", "to_openlineage_converter"])
def test_what_it_names_for_the_uris_of_collections_can_be_called(key: str, part: str) -> None:
    (uris,) = get_provider_info()[key]
    module, name = uris[part].rsplit(".", 1)

    assert uris["schemes"] == ["alchemy"]
    assert callable(getattr(import_module(module), name))


def test_every_integration_that_it_names_is_described() -> None:
    info = get_provider_info()
    described = {integration["integration-name"] for integration in info["integrations"]}

    assert {
        group["integration-name"] for kind in ("hooks", "operators", "sensors", "triggers") for group in info[kind]
    } == described


def test_the_entry_point_leads_to_it() -> None:
    (found,) = (
        point
        for point in entry_points(group="apache_airflow_provider")
        if point.dist is not None and point.dist.name == PACKAGE
    )

    assert found.load() is get_provider_info


@pytest.mark.parametrize("heavy", ["airflow", "requests", "aiohttp", "pendulum", "airflow_provider_alchemy.api"])
def test_reading_it_does_not_import(heavy: str) -> None:
    script = (
        "import sys; before = set(sys.modules)\n"
        "from airflow_provider_alchemy.get_provider_info import get_provider_info\n"
        "get_provider_info()\n"
        f"print(sorted({{name for name in set(sys.modules) - before if (name + '.').startswith({heavy!r} + '.')}}))"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - a script of this module

    assert done.stdout.strip() == "[]"


def providers() -> ProvidersManager:
    return ProvidersManager()  # type: ignore[no-untyped-call]


class TestAirflow:
    def test_it_finds_the_provider(self) -> None:
        assert providers().providers[PACKAGE].version == __version__

    def test_it_finds_the_hook_of_the_connection_type(self) -> None:
        hook = providers().hooks["alchemy"]

        assert hook is not None
        assert (hook.hook_class_name, hook.hook_name) == (
            "airflow_provider_alchemy.hooks.alchemy.AlchemyHook",
            "Alchemy",
        )

    def test_it_finds_where_the_hook_takes_its_connection_from(self) -> None:
        hook = providers().hooks["alchemy"]

        assert hook is not None
        assert hook.connection_id_attribute_name == AlchemyHook.conn_name_attr

    def test_it_can_test_the_connection(self) -> None:
        hook = providers().hooks["alchemy"]

        assert hook is not None
        assert hook.connection_testable
