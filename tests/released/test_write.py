# SPDX-License-Identifier: Apache-2.0
"""The command of a release writes what is missing, and never again what a released version left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.released import kept, write
from tests.released.kept import FOLDER, IN_WORK
from tests.released.playing import WATCHER
from tests.released.scenes import SCENES

pytestmark = pytest.mark.integration


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, with a released version in it."""
    shutil.copytree(FOLDER / "0.1.0", tmp_path / "0.1.0")
    monkeypatch.setattr(kept, "FOLDER", tmp_path)
    return tmp_path


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in folder.glob("*/*.json")}


def be(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "present_version", lambda: version)


def test_a_released_version_is_not_written_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    be("0.1.0", monkeypatch)
    before = texts(folder)

    assert write.main() == 1

    assert texts(folder) == before
    assert "0.1.0 is released" in capsys.readouterr().out


def test_a_release_writes_all_its_scenes_and_takes_the_place_of_the_version_in_work(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(FOLDER / "0.1.0", folder / IN_WORK)
    released = texts(folder / "0.1.0")
    be("0.2.0", monkeypatch)

    assert write.main() == 0

    assert {path.stem for path in (folder / "0.2.0").iterdir()} == {*SCENES, WATCHER}
    assert not (folder / IN_WORK).exists()
    assert texts(folder / "0.1.0") == released


def test_a_scene_whose_form_is_right_stays_as_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    be(IN_WORK, monkeypatch)
    write.main()
    before = texts(folder)
    (folder / IN_WORK / "reingest_sensor.json").write_text("{}", encoding="utf-8")

    write.main()

    changed = {path for path, text in texts(folder).items() if before[path] != text}
    assert changed == {f"{IN_WORK}/reingest_sensor.json"}
