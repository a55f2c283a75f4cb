# SPDX-License-Identifier: Apache-2.0
"""The curves of a soak as a picture: a panel for each measure, a curve for each component that is judged."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from dev.benchmarks.soak.flatness import FIRST_SECONDS, MIB, Measure
from dev.benchmarks.soak.results import SoakResult
from dev.benchmarks.soak.verdicts import STREAM

COLUMNS = 2
UNITS: dict[Measure, tuple[str, float]] = {
    Measure.MEMORY: ("resident memory, MiB", MIB),
    Measure.LOG: ("logs, MiB in all", MIB),
}
"""What the axes say, and what values are divided by, where it is not the measure's name."""


def draw(result: SoakResult, file: Path) -> None:
    """
    Write the picture.

    :param result: What was found.
    :param file: Where it goes, a PNG file; its folder is made where it is missing.
    """
    # The others are in the figures; the database server alone has more open files than all of these together.
    shown = {verdict.component for verdict in result.verdicts if verdict.is_judged} | {STREAM}
    series = [one for one in result.series if one.component in shown]
    colours = {name: f"C{place}" for place, name in enumerate(dict.fromkeys(one.component for one in series))}
    measures = [measure for measure in Measure if any(one.measure is measure for one in series)]
    rows = -(-len(measures) // COLUMNS)
    figure = Figure(figsize=(14, 3.4 * rows), layout="constrained")
    figure.suptitle(f"Soak: load '{result.scenario.load}', {result.scenario.minutes:g} minutes")
    for place, measure in enumerate(measures, start=1):
        axes = figure.add_subplot(rows, COLUMNS, place)
        label, scale = UNITS.get(measure, (measure.value, 1.0))
        for one in series:
            if one.measure is measure:
                minutes, values = zip(*((at / 60, value / scale) for at, value in one.values), strict=True)
                axes.plot(minutes, values, label=one.component, color=colours[one.component], linewidth=1)
        axes.axvspan(0, FIRST_SECONDS / 60, color="0.92")
        axes.set_ylim(bottom=0)
        axes.set_xlabel("minutes")
        axes.set_ylabel(label)
        axes.legend(fontsize="x-small", ncols=2)
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=100)
