# SPDX-License-Identifier: Apache-2.0
"""What a soak has found, for people at a terminal: a table of the slopes, one of the waits, and curves."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import plotext  # type: ignore[import-untyped]  # it comes without types
from rich.table import Table

from dev.benchmarks.soak.flatness import FIRST_SECONDS, LIMIT_PERCENT, MIB, Measure, State, shown
from dev.benchmarks.soak.results import SoakResult
from dev.benchmarks.soak.verdicts import LOGS, Series

COLOURS = {State.FLAT: "green", State.GRAIN: "green", State.RISING: "bold red", State.TOO_SHORT: "yellow"}
CURVES = (Measure.MEMORY, Measure.OPEN_FILES)
"""The two that the terminal shows; the picture shows all."""
WIDTH, HEIGHT = 110, 22
MARKERS = "12wx+o"
"""One for each curve, for terminals without colours."""


def slope_table(result: SoakResult) -> Table:
    """
    Write the slopes: a row for each measure of each component.

    :param result: The result.
    :return: The table.
    """
    minutes = result.scenario.minutes
    table = Table(title=f"{minutes:g} minutes of load '{result.scenario.load}': what grew after the first minute")
    for name in ("component", "measure"):
        table.add_column(name)
    for name in ("start", "end", "slope, % a minute"):
        table.add_column(name, justify="right")
    table.add_column(f"verdict (limit {LIMIT_PERCENT:g})")
    before = ""
    for verdict in result.verdicts:
        one, measure = verdict.flatness, verdict.measure
        if before not in {"", verdict.component}:
            table.add_section()
        name = "" if before == verdict.component else verdict.component
        before = verdict.component
        colour = COLOURS.get(one.state, "dim")
        cells = (name, measure.value, shown(measure, one.start), shown(measure, one.end), f"{one.percent:+.2f}")
        table.add_row(*cells, f"[{colour}]{one.state}[/]")
    return table


def wait_table(result: SoakResult) -> Table:
    """
    Write how many waits of each kind ended, warm-up and end included.

    :param result: The result.
    :return: The table.
    """
    table = Table(title="Waits")
    table.add_column("kind of wait")
    table.add_column("ended", justify="right")
    for kind, count in result.ended.items():
        table.add_row(kind, f"{count:,}")
    return table


def wait_sentence(result: SoakResult) -> str:
    """
    Say how many waits there were, and how many bytes of log each has left.

    :param result: The result.
    :return: A sentence.
    """
    first, last = result.samples[0], result.samples[-1]
    logs = next(series.values for series in result.series if series.component == LOGS)
    ended = last.ended - first.ended
    left = f"{shown(Measure.LOG, (logs[-1][1] - logs[0][1]) / ended)} of log each" if ended else "none by the clock"
    return f"{sum(result.ended.values()):,} waits ended, {left}; {result.held_back} starts were held back."


def curves(result: SoakResult, components: Collection[str], *, is_coloured: bool) -> str:
    """
    Draw the curves of some components for a terminal.

    :param result: The result.
    :param components: The components.
    :param is_coloured: Whether it shows colours.
    :return: Lines of text.
    """
    drawn = []
    for measure in CURVES:
        chosen = [one for one in result.series if one.measure is measure and one.component in components]
        if chosen:
            drawn.append(_curve(measure, chosen, is_coloured=is_coloured))
    return "\n".join([*drawn, ""])


def _curve(measure: Measure, series: Sequence[Series], *, is_coloured: bool) -> str:
    figure = plotext.figure.clear()
    figure.plot_size(WIDTH, HEIGHT)
    if not is_coloured:
        figure.theme("colorless")
    figure.title(f"{measure}{' (MiB)' if measure is Measure.MEMORY else ''} over minutes; left of the line: the first")
    for place, one in enumerate(series):
        minutes = [at / 60 for at, _ in one.values]
        scale = MIB if measure is Measure.MEMORY else 1
        values = [value / scale for _, value in one.values]
        figure.draw(figure.signal(minutes, values, marker=MARKERS[place % len(MARKERS)]).label(one.component))
    figure.line(FIRST_SECONDS / 60, "vertical")
    text: str = figure.build().string(colorless=not is_coloured)
    return text
