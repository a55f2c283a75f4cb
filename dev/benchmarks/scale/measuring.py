# SPDX-License-Identifier: Apache-2.0
"""The benchmark as a whole: a run in a throwaway folder, its figures, and its picture."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from dev.benchmarks.command_line import tell_progress
from dev.benchmarks.errors import BenchmarkError
from dev.benchmarks.scale.picture import draw
from dev.benchmarks.scale.run import run
from dev.benchmarks.scale.settings import Scenario
from dev.benchmarks.scale.summary import summarize
from dev.local_airflow import LocalAirflowError

PICTURES = Path(__file__).resolve().parents[1] / "results"


def measure(scenario: Scenario | None = None, pictures: Path = PICTURES) -> dict[str, Any]:
    """
    Measure, and draw a picture.

    :param scenario: What; default: that of :class:`Scenario`.
    :param pictures: The folder that the picture goes to.
    :return: JSON values.
    :raises BenchmarkError: The cluster could not be started, or too few open files are allowed.
    """
    scenario = scenario or Scenario()
    with tempfile.TemporaryDirectory(prefix="benchmark-scale-") as name:
        try:
            figures = summarize(scenario, run(scenario, Path(name)))
        except LocalAirflowError as error:
            raise BenchmarkError(str(error)) from error
    picture = pictures / f"{scenario.name}.png"
    draw(figures, picture)
    tell_progress(f"The picture is {picture}.")
    return figures
