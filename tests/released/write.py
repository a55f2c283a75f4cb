# SPDX-License-Identifier: Apache-2.0
"""
Writes what today's code leaves in Airflow's database: for the version in work, or for a release.

``python -m tests.released.write``. What a released version left is never written again.
"""

from __future__ import annotations

import json
import shutil
import sys

import pytest

import tests.conftest  # noqa: F401 - sets Airflow's home, before anything imports Airflow
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE, connection_json
from tests.released import kept as traces
from tests.released.kept import IN_WORK, form, path_of, present_version, read
from tests.released.playing import WATCHER, play, variables_in
from tests.released.scenes import SCENES


def main() -> int:
    """Write each scene whose form is not kept yet, and tell which."""
    version = present_version()
    if version != IN_WORK and (traces.FOLDER / version).exists():
        say(f"{version} is released, and what it left never changes: begin a section Unreleased in CHANGELOG.md")
        return 1
    for name in (*SCENES, WATCHER):
        with AlchemyEmulator(units_per_second=None) as emulator, pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setenv(CONNECTION_VARIABLE, connection_json(emulator, compute_units_per_second=1_000_000))
            kept = play(name, emulator, variables_in(monkeypatch))
        path = path_of(version, name)
        # Moments differ from run to run: a file whose form is right stays as it is.
        if path.exists() and form(read(version, name)) == form(kept):
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(kept, indent=2) + "\n", encoding="utf-8")
        say(f"wrote {version}/{path.name}")
    if version != IN_WORK:
        # It has become this version's.
        shutil.rmtree(traces.FOLDER / IN_WORK, ignore_errors=True)
    return 0


def say(line: str) -> None:
    """Write a line for the person who runs this."""
    sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main())
