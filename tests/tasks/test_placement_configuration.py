# SPDX-License-Identifier: Apache-2.0
"""The section ``[alchemy]`` of Airflow's configuration, as Airflow itself shows it."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.dag_run, pytest.mark.slow]

OPTIONS = ["start_from_trigger", "end_from_trigger"]


def airflow(*arguments: str) -> str:
    command = [sys.executable, "-m", "airflow", "config", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - Airflow's own command
    return done.stdout


def test_it_is_listed_with_both_options() -> None:
    # A default may be shown as a comment: that depends on Airflow's version.
    lines = airflow("list", "--section", "alchemy").replace("# ", "").splitlines()

    assert "[alchemy]" in lines
    assert [line.split(" = ")[0] for line in lines if "from_trigger" in line] == OPTIONS


@pytest.mark.parametrize("option", OPTIONS)
def test_both_are_off_by_default(option: str) -> None:
    assert airflow("get-value", "alchemy", option).splitlines()[-1] == "False"
