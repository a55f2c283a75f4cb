# SPDX-License-Identifier: Apache-2.0
"""SECURITY.md promises what is tested: the tests that the site names, and commands, files and fields exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from airflow_provider_alchemy import __version__
from airflow_provider_alchemy.connection_form import EXTRA_FIELDS
from dev.tools.audit import ACCEPTED, read_accepted

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "SECURITY.md").read_text(encoding="utf-8")
PROMISES = (PROJECT / "docs/explain/secrets.md").read_text(encoding="utf-8")
NAMED_TESTS = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE + PROMISES)))


def rows(heading: str, page: str = PAGE) -> list[list[str]]:
    """Give the rows of a section's table, without its header."""
    section = page.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[2:]]


@pytest.mark.parametrize(("file", "name"), NAMED_TESTS)
def test_each_named_test_exists(file: str, name: str) -> None:
    tree = ast.parse((PROJECT / file).read_text(encoding="utf-8"))
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in functions


@pytest.mark.parametrize("heading", ["Where they never are", "What protects them"])
def test_each_promise_names_the_test_that_keeps_it(heading: str) -> None:
    promises = rows(heading, PROMISES)
    assert len(promises) > 5
    assert [promise for promise, tested_by in promises if "::test_" not in tested_by] == []


def test_each_command_exists() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)`", PAGE))
    assert named == {"lint", "audit", "dist-check", "test-all"}
    assert named <= targets


def test_each_file_that_it_links_to_exists() -> None:
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", PAGE) if not target.startswith("https://")]
    assert targets
    assert [target for target in targets if not (PROJECT / target).exists()] == []


def test_the_fields_it_speaks_of_are_the_connections() -> None:
    fields = {"auth", "proxy", "verify", "allow_insecure"}
    assert fields <= {field.name for field in EXTRA_FIELDS}
    assert [field for field in fields if f"`{field}`" not in PAGE] == []


def test_the_newest_version_is_the_supported_one() -> None:
    supported = [version for version, gets_fixes in rows("Supported versions") if gets_fixes == "yes"]
    assert supported == [".".join(__version__.split(".")[:2])]


def test_it_says_so_when_a_weakness_is_accepted() -> None:
    assert ("now there is none" in PAGE) == (not read_accepted(ACCEPTED))


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_it_is_found_from_the_other_pages(page: str) -> None:
    assert "](SECURITY.md)" in (PROJECT / page).read_text(encoding="utf-8")
