# SPDX-License-Identifier: Apache-2.0
"""The wheel in an empty environment, without what the tests bring: it installs, imports and is found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_provider_alchemy import __version__
from tests.packaging.conftest import PROJECT, UV, Installed, install, run

pytestmark = pytest.mark.slow

EXAMPLES = PROJECT / "example_dags"
LOAD_EXAMPLES = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
print(json.dumps({"errors": bag.import_errors, "files": sorted({dag.fileloc for dag in bag.dags.values()})}))
"""
IMPORT_ALL = """
import importlib, json, pkgutil
import airflow_provider_alchemy as package
failed = {}
for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if module.name.endswith(".__main__"):
        continue
    try:
        importlib.import_module(module.name)
    except ImportError as error:
        failed[module.name] = str(error)
print(json.dumps({"package": package.__file__, "version": package.__version__, "failed": failed}))
"""
USERS_TEST = """
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook

def test_refresh(alchemy_emulator):
    with AlchemyHook() as hook:
        hook.reingest_contract("0xE9FCa552b9eb110c2d170962aF740725F71F5644")
    assert alchemy_emulator.count("reingestContract") == 1
"""


def test_what_is_installed_fits_together(installed: Installed) -> None:
    run(UV, "pip", "check", "--python", installed.python, cwd=installed.folder.parent)


def test_only_the_pytest_plugin_needs_pytest(installed: Installed) -> None:
    told = json.loads(installed.run("python", "-c", IMPORT_ALL).splitlines()[-1])
    assert Path(told["package"]).is_relative_to(installed.folder)
    assert told["version"] == __version__
    assert told["failed"] == {"airflow_provider_alchemy.testing.plugin": "No module named 'pytest'"}


def test_each_example_dag_imports_without_an_error(installed: Installed) -> None:
    told = json.loads(installed.run("python", "-c", LOAD_EXAMPLES, EXAMPLES).splitlines()[-1])
    assert told["errors"] == {}
    assert told["files"] == sorted(map(str, EXAMPLES.glob("*.py")))


def test_airflow_lists_the_provider(installed: Installed) -> None:
    providers = json.loads(installed.run("airflow", "providers", "list", "--output", "json").splitlines()[-1])
    assert [each["version"] for each in providers if each["package_name"] == "airflow-provider-alchemy"] == [
        __version__
    ]


def test_airflow_knows_the_connection_type(installed: Installed) -> None:
    hooks = json.loads(installed.run("airflow", "providers", "hooks", "--output", "json").splitlines()[-1])
    (alchemy,) = [hook for hook in hooks if hook["connection_type"] == "alchemy"]
    assert alchemy["class"] == "airflow_provider_alchemy.hooks.alchemy.AlchemyHook"


def test_the_emulator_needs_nothing_more(installed: Installed) -> None:
    assert "--port" in installed.run("python", "-m", "airflow_provider_alchemy.testing.emulator", "--help")


def test_with_pytest_the_fixture_is_there(installed: Installed, tmp_path: Path) -> None:
    # Beside the environment, not in it: the other tests are about one without.
    install(installed, "--target", tmp_path / "pytest", "pytest")
    (tmp_path / "test_users.py").write_text(USERS_TEST, encoding="utf-8")
    users = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path / "test_users.py")
    assert "1 passed" in installed.run("python", *users, PYTHONPATH=str(tmp_path / "pytest"))
