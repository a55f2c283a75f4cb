# SPDX-License-Identifier: Apache-2.0
"""What is in wheel and sdist: all that belongs there, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

from airflow_provider_alchemy import __version__
from tests.packaging.conftest import PROJECT, Dists, run

pytestmark = pytest.mark.slow

PACKAGE = "airflow_provider_alchemy"
INFO = f"{PACKAGE}-{__version__}.dist-info"


@pytest.fixture(scope="module")
def wheel(dists: Dists) -> dict[str, bytes]:
    """Give the wheel's files."""
    with zipfile.ZipFile(dists.wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def metadata(wheel: dict[str, bytes]) -> Message:
    return message_from_string(wheel[f"{INFO}/METADATA"].decode())


def test_check_wheel_contents_has_nothing_to_say(dists: Dists) -> None:
    run(sys.executable, "-m", "check_wheel_contents", dists.wheel, cwd=dists.wheel.parent)


def test_twine_has_nothing_to_say(dists: Dists) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", dists.sdist, dists.wheel, cwd=dists.wheel.parent)


def test_the_wheel_holds_the_package_and_nothing_else(wheel: dict[str, bytes]) -> None:
    modules = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / PACKAGE).rglob("*.py")}
    about = {f"{INFO}/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}
    page = {f"{PACKAGE}/plugins/static/{name}" for name in ("alchemy.js", "icon.svg")}
    assert set(wheel) == modules | about | page | {f"{PACKAGE}/py.typed"}


def test_the_wheel_has_the_licence(wheel: dict[str, bytes]) -> None:
    assert wheel[f"{INFO}/licenses/LICENSE"] == (PROJECT / "LICENSE").read_bytes()


def test_the_wheel_tells_airflow_and_pytest_where_to_begin(wheel: dict[str, bytes]) -> None:
    entry_points = ConfigParser()
    entry_points.read_string(wheel[f"{INFO}/entry_points.txt"].decode())
    assert {name: dict(entry_points[name]) for name in entry_points.sections()} == {
        "apache_airflow_provider": {"provider_info": f"{PACKAGE}.get_provider_info:get_provider_info"},
        "airflow.plugins": {"alchemy": f"{PACKAGE}.plugins.page:AlchemyPlugin"},
        "pytest11": {PACKAGE: f"{PACKAGE}.testing.plugin"},
    }


def test_the_wheel_has_the_version_of_the_package_and_of_the_changelog(metadata: Message, dists: Dists) -> None:
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.findall(r"^## \[([^\]]+)\]", changelog, re.MULTILINE)[0]
    named_by = [
        metadata["Version"],
        dists.wheel.name.split("-")[1],
        dists.sdist.name.removesuffix(".tar.gz").split("-")[1],
    ]
    assert {*named_by, newest} == {__version__}


def test_the_wheel_needs_no_development_package(metadata: Message) -> None:
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    names = {re.split(r"[^\w-]", line)[0] for line in needed}
    assert "apache-airflow" in names
    assert names.isdisjoint({"pytest", "hypothesis", "rich", "ruff", "bandit", "trustme"})


@pytest.mark.skipif(not (PROJECT / ".git").exists(), reason="only git knows which files are the project's")
def test_the_sdist_holds_every_file_of_the_project(unpacked: Path) -> None:
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(asked, cwd=PROJECT, capture_output=True, text=True, check=True).stdout  # noqa: S603 - fixed
    project = {name for name in listed.split("\0") if name and (PROJECT / name).exists()}
    sdist = {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*") if path.is_file()}
    assert sorted(project - sdist) == []
    assert sdist - project == {"PKG-INFO"}


def test_the_sdists_tests_can_be_collected(unpacked: Path) -> None:
    collect = ("-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "tests")
    # Its own package, not the checkout's that this interpreter has installed.
    said = run(sys.executable, *collect, cwd=unpacked, PYTHONPATH=str(unpacked))
    assert re.search(r"^\d{3,} tests collected", said, re.MULTILINE), said[-2000:]


def test_the_sdist_has_what_make_test_calls(unpacked: Path) -> None:
    assert "dev/tools/install.sh .venv dev/constraints.txt" in run("make", "-n", "test", cwd=unpacked)
