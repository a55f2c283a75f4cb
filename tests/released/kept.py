# SPDX-License-Identifier: Apache-2.0
"""
Where the traces of each version lie, which versions there must be, and when two traces have the same form.

A folder per version of the changelog, and one for the version in work. A folder of a released version never changes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_provider_alchemy import __version__

FOLDER = Path(__file__).parent
CHANGELOG = FOLDER.parents[1] / "CHANGELOG.md"
IN_WORK = "unreleased"
COMMAND = "python -m tests.released.write"


def expected_versions() -> set[str]:
    """Give the versions that the changelog names, and the package's own."""
    headings = re.findall(r"^## \[?([^\]\s]+)", CHANGELOG.read_text(encoding="utf-8"), re.MULTILINE)
    return {heading.lower() for heading in headings} | {__version__}


def present_version() -> str:
    """Give the version whose form today's code has."""
    return IN_WORK if IN_WORK in expected_versions() else __version__


def kept_versions() -> set[str]:
    """Give the versions that have a folder."""
    return {path.parent.name for path in FOLDER.glob("*/*.json")}


def kept_scenes() -> list[tuple[str, str]]:
    """Give each version with each scene that it has kept."""
    return sorted((path.parent.name, path.stem) for path in FOLDER.glob("*/*.json"))


def path_of(version: str, scene: str) -> Path:
    """Give the file of a scene."""
    return FOLDER / version / f"{scene}.json"


def read(version: str, scene: str) -> dict[str, Any]:
    """Read what a version has kept of a scene."""
    kept: dict[str, Any] = json.loads(path_of(version, scene).read_text(encoding="utf-8"))
    return kept


def form(kept: Any) -> set[str]:
    """Give the form of what is kept: the places of its values. The values themselves, such as moments, differ."""
    return set(_places(kept, ""))


def _places(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, str) and value.startswith("{"):
        value = json.loads(value)  # a Variable is a text
    if not isinstance(value, dict) or not value:
        yield place
        return
    for name, part in value.items():
        # The name of a Variable is a digest of where the task stands.
        yield from _places(part, f"{place}/{re.sub('[0-9a-f]{32}', '…', name)}")
