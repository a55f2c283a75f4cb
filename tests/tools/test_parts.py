# SPDX-License-Identifier: Apache-2.0
"""The runner of parts: all of them are run, none hides another's failure, and what was left out is named."""

from __future__ import annotations

import io
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dev.local_airflow.waiting import wait_until
from dev.tools.parts import BY_TARGET, INTERRUPTED_STATUS, PARTS, WHOLE, left_out, main, run

PROJECT = Path(__file__).resolve().parents[2]
CORES, MORE_CORES, WAITS, MORE_WAITS = "lint", "test-in-process", "test-smoke", "test-e2e-waits"

Makefile = Callable[..., Path]


@pytest.fixture
def makefile(tmp_path: Path) -> Makefile:
    """Write a Makefile with these targets; give its folder."""

    def write(**recipes: str) -> Path:
        targets = {name.replace("_", "-"): recipe for name, recipe in recipes.items()}
        text = "".join(f"{target}:\n\t@{recipe}\n" for target, recipe in targets.items())
        (tmp_path / "Makefile").write_text(f"SHELL := /bin/bash\n.PHONY: {' '.join(targets)}\n{text}", encoding="utf-8")
        return tmp_path

    return write


def output_of(project: Path, *targets: str, jobs: int = 3) -> tuple[int, str]:
    out = io.StringIO()
    status = run(targets, jobs=jobs, out=out, project=project)
    return status, out.getvalue()


def table_of(text: str) -> dict[str, str]:
    rows = text[text.index("==== what was run") :].partition("\n\n")[0].splitlines()
    return {row.split()[0]: row.split()[1] for row in rows if row.startswith(tuple(BY_TARGET))}


def test_a_part_that_fails_stops_no_other(makefile: Makefile) -> None:
    project = makefile(lint="echo bad; exit 3", test_in_process="echo good", test_smoke="echo good too")

    status, text = output_of(project, CORES, MORE_CORES, WAITS)

    assert status == 1
    assert table_of(text) == {CORES: "failed", MORE_CORES: "passed", WAITS: "passed"}


def test_the_status_is_zero_where_all_passed(makefile: Makefile) -> None:
    assert output_of(makefile(lint="true"), CORES)[0] == 0


def test_what_a_part_writes_is_shown_as_a_whole_while_another_writes_too(makefile: Makefile) -> None:
    # Each writes its second line when the other has written its first one.
    recipe = "echo {me} 1; touch {me}; until [ -e {other} ]; do sleep 0.01; done; echo {me} 2 ü >&2"
    project = makefile(lint=recipe.format(me="a", other="b"), test_smoke=recipe.format(me="b", other="a"))

    status, text = output_of(project, CORES, WAITS)

    assert status == 0
    assert "\na 1\na 2 ü\n" in text
    assert "\nb 1\nb 2 ü\n" in text


def test_two_parts_that_need_all_cores_never_run_at_once(makefile: Makefile) -> None:
    recipe = "mkdir busy && sleep 0.2 && rmdir busy"

    status, text = output_of(makefile(lint=recipe, test_in_process=recipe), CORES, MORE_CORES)

    assert status == 0, text


def test_a_single_job_runs_one_part_after_the_other(makefile: Makefile) -> None:
    recipe = "mkdir busy && sleep 0.2 && rmdir busy"
    project = makefile(lint=recipe, test_smoke=recipe, test_e2e_waits=recipe)

    status, text = output_of(project, CORES, WAITS, MORE_WAITS, jobs=1)

    assert status == 0, text


def test_a_single_job_writes_as_it_goes(makefile: Makefile) -> None:
    project = makefile(lint="echo linted; until [ -e seen ]; do sleep 0.01; done")
    with running(project, jobs=1, targets=[CORES]) as process:
        assert process.stdout
        while "linted" not in process.stdout.readline():
            assert process.poll() is None
        (project / "seen").touch()
        assert process.wait() == 0


def running(project: Path, *, jobs: int, targets: list[str]) -> subprocess.Popen[str]:
    code = (
        "import sys; from pathlib import Path; from dev.tools.parts import run;"
        "sys.exit(run(sys.argv[3:], jobs=int(sys.argv[2]), project=Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(project), str(jobs), *targets]
    return subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own arguments


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("to_send", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_lets_the_running_parts_end_and_begins_no_other(
    makefile: Makefile, jobs: int, to_send: signal.Signals
) -> None:
    project = makefile(
        lint="trap 'touch ended; exit 1' INT; touch begun; while true; do sleep 0.05; done",
        test_in_process="touch late",
    )
    with running(project, jobs=jobs, targets=[CORES, MORE_CORES]) as process:
        wait_until((project / "begun").exists, failure=lambda: "The part never began")
        process.send_signal(to_send)
        text, _ = process.communicate()

    assert process.returncode == INTERRUPTED_STATUS
    assert table_of(text) == {CORES: "interrupted", MORE_CORES: "not"}
    assert (project / "ended").exists()
    assert not (project / "late").exists()


def test_the_second_ctrl_c_ends_a_part_that_does_not_end(makefile: Makefile) -> None:
    project = makefile(lint="trap 'touch asked' INT; touch begun; while true; do sleep 0.05; done")
    with running(project, jobs=3, targets=[CORES]) as process:
        for seen in ("begun", "asked"):
            wait_until((project / seen).exists, failure=lambda: "It did not get there")
            process.send_signal(signal.SIGINT)
        assert process.wait() == INTERRUPTED_STATUS


def test_what_was_left_out_is_named_with_the_command_that_runs_it() -> None:
    chosen = [part for part in PARTS if part.target not in {"lint", "dist-check"}]

    sentences = " ".join(left_out(chosen).split())
    assert sentences == "Not run: lint, dist-check. `make lint` runs one of them, `make test-all` everything."
    assert left_out(PARTS) == "Nothing was left out."


@pytest.mark.parametrize("target", BY_TARGET)
def test_each_part_is_a_target_of_the_makefile(target: str) -> None:
    command = ["make", "-n", target]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert done.returncode == 0, done.stderr


def test_each_part_is_named_among_the_commands() -> None:
    page = (PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    commands = page[: page.index("## The house")]

    assert [
        target for target in BY_TARGET if f"`{target}`" not in commands and f"`make {target}`" not in commands
    ] == []


def test_each_folder_of_end_to_end_tests_is_a_part() -> None:
    folders = {path.parent.name for path in (PROJECT / "tests/e2e").glob("*/__init__.py")} - {"smoke"}

    assert {f"test-e2e-{folder}" for folder in folders} == {
        part.target for part in WHOLE if part.target.startswith("test-e2e-")
    }


def test_what_documents_need_holds_each_test_that_reads_one() -> None:
    command = ["make", "-n", "test-docs"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    run_then = [word for word in done.stdout.split() if word.startswith("tests/")]
    # Only what is built has a test of the changelog's version: wheel and sdist take a part of their own.
    elsewhere = {"tests/packaging/test_dists.py", "tests/tools/test_ci.py"}

    for path in (PROJECT / "tests").rglob("test_*.py"):
        reads_one = re.search(r"\w\.md\"", path.read_text(encoding="utf-8"))
        name = path.relative_to(PROJECT).as_posix()
        assert not reads_one or name in elsewhere or name.startswith(tuple(run_then)), name


@pytest.mark.parametrize("arguments", [[], ["no-such-part"], ["lint", "--jobs", "0"]])
def test_a_wrong_command_line_runs_nothing(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert "error: " in capsys.readouterr().err
