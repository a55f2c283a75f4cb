# SPDX-License-Identifier: Apache-2.0
"""What a soak shows and writes, and how its command ends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from dev.benchmarks.soak import __main__ as command
from dev.benchmarks.soak.picture import draw
from dev.benchmarks.soak.results import Scenario, SoakResult
from dev.benchmarks.soak.tables import curves, slope_table, wait_sentence, wait_table
from tests.benchmarks.soak_samples import TRIGGERER, leaking, result_of, samples_of


def text_of(table: object) -> str:
    console = Console(width=140, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def row(text: str, measure: str) -> str:
    return next(line for line in text.splitlines() if measure in line)


def test_the_table_has_a_row_for_each_measure_of_each_component() -> None:
    text = text_of(slope_table(result_of(samples_of(30, leaking(TRIGGERER)), minutes=30)))

    assert "RISING" in row(text, "open files")
    memory = row(text, "memory")
    assert ("350.0 MiB" in memory, "+0.00" in memory, "flat" in memory) == (True, True, True)
    assert "not judged" in row(text, "waits under way")
    for name in (
        "all triggerers",
        "triggerer-1",
        "scheduler",
        "logs",
        "sockets",
        "threads",
        "asyncio tasks",
        "processes",
    ):
        assert name in text


def test_the_waits_are_counted_by_kind_and_their_logs_by_wait() -> None:
    result = result_of(samples_of(30), minutes=30)

    assert row(text_of(wait_table(result)), "soak_timed_out").split()[-2] == "4"
    assert wait_sentence(result) == "9 waits ended, 2.7 KiB of log each; 0 starts were held back."


def test_a_soak_in_which_nothing_ended_is_told_too() -> None:
    idle = [replace(sample, ended=0) for sample in samples_of(30)]

    assert wait_sentence(result_of(idle)) == "9 waits ended, none by the clock; 0 starts were held back."


def test_the_curves_are_drawn_for_the_terminal() -> None:
    text = curves(result_of(samples_of(3)), [TRIGGERER], is_coloured=False)

    assert "memory (MiB) over minutes" in text
    assert "open files over minutes" in text
    assert TRIGGERER in text
    assert "\x1b" not in text
    assert "\x1b" in curves(result_of(samples_of(3)), [TRIGGERER], is_coloured=True)


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    draw(result_of(samples_of(3)), tmp_path / "new" / "soak.png")

    assert (tmp_path / "new" / "soak.png").read_bytes().startswith(b"\x89PNG")


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, result: SoakResult) -> int:
    # What comes before is a cluster, which the end-to-end tests start.
    def found(scenario: Scenario) -> SoakResult:
        assert scenario.minutes == result.scenario.minutes
        return result

    monkeypatch.setattr(command, "_in_a_cluster", found)
    return command.main(["--minutes", f"{result.scenario.minutes:g}", "--folder", str(folder)])


def test_a_soak_without_complaints_ends_well_and_leaves_its_figures(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, tmp_path, result_of(samples_of(2))) == 0

    figures = json.loads((tmp_path / "soak.json").read_text(encoding="utf-8"))
    assert figures["machine"]["cores"] > 0
    assert figures["soak"]["scenario"]["minutes"] == 2
    assert figures["soak"]["samples"][0]["readings"][TRIGGERER]["8/2"]["tasks"] == 9
    assert figures["soak"]["complaints"] == []
    assert (tmp_path / "soak.png").exists()
    assert "not judged" in capsys.readouterr().out


def test_a_soak_with_a_leak_and_a_wait_that_hangs_ends_with_a_sentence_for_each(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = result_of(samples_of(30, leaking(TRIGGERER)), ["soak_sensor: run 5 hangs."], minutes=30)

    assert run(monkeypatch, tmp_path, result) == 1
    errors = capsys.readouterr().err
    assert "The soak failed:\nsoak_sensor: run 5 hangs.\nall triggerers: open files went from" in errors
    assert (tmp_path / "soak.json").exists()


def test_a_soak_that_is_too_short_to_tell_anything_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--minutes", "1.5", "--folder", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "A soak of 1.5 minutes tells nothing: it takes 2 at least.\n"
