# SPDX-License-Identifier: Apache-2.0
"""
Why ``api`` and the emulator are tested in one environment, and not once for each Airflow.

They import no Airflow (import-linter sees to it), so on another Airflow they could only behave differently with other
versions of the libraries under them. While all environments pin the same, those tests would be the same ones again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
OLDER = sorted((PROJECT / "dev/constraints").glob("airflow-*.txt"))
UNUSED = {"python-dateutil"}
"""pendulum asks it only about texts that are no times of ISO 8601, where it is told not to be strict: api never is."""
UNDER_API = ("aiohttp", "pendulum", "pycryptodome", "requests", "yarl")


def pins(file: Path) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==(\S+)(?: ;.*)?$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in found}


def with_what_they_need(names: Iterator[str]) -> set[str]:
    needed: set[str] = set()
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in needed:
            continue
        needed.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            # Only for another system or Python.
            needed.discard(name)
            continue
        found = [Requirement(line) for line in lines]
        waiting += [
            canonicalize_name(one.name) for one in found if one.marker is None or one.marker.evaluate({"extra": ""})
        ]
    return needed


@pytest.mark.parametrize("file", OLDER, ids=lambda file: file.stem)
def test_what_is_under_api_is_the_same_in_every_environment(file: Path) -> None:
    newest, older = pins(PROJECT / "dev/constraints.txt"), pins(file)
    names = with_what_they_need(iter(UNDER_API)) - UNUSED

    assert {name: older.get(name) for name in names} == {name: newest.get(name) for name in names}


def test_the_commands_leave_out_no_other_folder_that_knows_airflow() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    found = re.search(r"^SAME_EVERYWHERE := (.*)$", makefile, re.MULTILINE)

    assert found
    assert found[1].split() == ["tests/api", "tests/testing"]
