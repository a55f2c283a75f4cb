# SPDX-License-Identifier: Apache-2.0
"""A run as a picture: how late tasks end, from which of the two causes, and which triggerer has which waits when."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from dev.benchmarks.scale.plan import Side
from dev.benchmarks.scale.summary import DELAYS
from dev.benchmarks.scale.tables import title
from dev.benchmarks.scale.waits import widened
from dev.benchmarks.scale.watch import UNASSIGNED

WHOLE, *PARTS = DELAYS
CLASSES = 60
"""How many classes a histogram has at most."""


def draw(figures: dict[str, Any], file: Path) -> None:
    """
    Write the picture.

    :param figures: What ``summarize`` gave.
    :param file: Where it goes, a PNG file; its folder is made where it is missing.
    """
    picture = Figure(figsize=(12, 7), layout="constrained")
    picture.suptitle(title(figures))
    whole, course = picture.add_subplot(2, 2, (1, 2)), picture.add_subplot(2, 2, 4)
    side = figures["sides"][Side.TRIGGERER.value]
    _draw_whole(whole, side)
    _draw_parts(picture.add_subplot(2, 2, 3), side)
    _draw_course(course, figures)
    file.parent.mkdir(parents=True, exist_ok=True)
    picture.savefig(file, dpi=110)


def _draw_whole(axes: Axes, side: dict[str, Any]) -> None:
    width, counts = widened(side["histograms"][WHOLE], CLASSES)
    axes.bar(_edges(counts, width), counts, width=width, align="edge", edgecolor="white")
    for name, style in (("median", "-"), ("p95", "--"), ("longest", ":")):
        if delays := side["delays"].get(WHOLE):
            label = f"{'95 %' if name == 'p95' else name}: {delays[name]:,.1f} s"
            axes.axvline(delays[name], color="black", linestyle=style, linewidth=1, label=label)
            axes.legend()
    axes.set(xlabel=f"seconds from {WHOLE}", ylabel="waits", xlim=(0, None))


def _draw_parts(axes: Axes, side: dict[str, Any]) -> None:
    for name in PARTS:
        width, counts = widened(side["histograms"][name], CLASSES)
        # Steps, since both are to be seen where they overlap.
        axes.stairs(counts, _edges([*counts, 0], width), label=f"{name}, {width} s each", linewidth=1.5)
    axes.set(xlabel="seconds", ylabel="waits", xlim=(0, None))
    axes.legend()


def _draw_course(axes: Axes, figures: dict[str, Any]) -> None:
    course = figures["course"]
    minutes = [point["seconds"] / 60 for point in course]
    holders = sorted({holder for point in course for holder in point["triggers"]} - {UNASSIGNED}, key=int)
    names = {holder: f"triggerer with job {holder}" for holder in holders} | {UNASSIGNED: "in no triggerer"}
    stacks = [[point["triggers"].get(holder, 0) for point in course] for holder in names]
    axes.stackplot(minutes, stacks, labels=list(names.values()), alpha=0.7)
    axes.plot(minutes, [point["ended"] for point in course], color="black", label="ended")
    if (killed := figures["seconds"]["killed"]) is not None:
        axes.axvline(killed / 60, color="red", linewidth=1, label="a triggerer is killed")
    axes.set(xlabel="minutes", ylabel="waits", xlim=(0, None), ylim=(0, None))
    axes.legend(fontsize="small")


def _edges(counts: list[int], width: int) -> list[int]:
    return [width * number for number in range(len(counts))]
