# SPDX-License-Identifier: Apache-2.0
"""The short form of ``make soak``, on the cluster whose parts were killed before: nothing grows, no wait is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from io import StringIO

import pytest
from rich.console import Console
from rich.table import Table

from dev.benchmarks.soak.results import SoakResult
from dev.benchmarks.soak.soaking import soak
from dev.benchmarks.soak.tables import slope_table
from dev.cluster import Cluster
from tests.e2e.cluster.figures import SLOPES

MINUTES_VARIABLE = "SOAK_MINUTES"
DEFAULT_MINUTES = 2.0

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def result(cluster: Cluster) -> SoakResult:
    return soak(cluster, minutes=float(os.environ.get(MINUTES_VARIABLE, DEFAULT_MINUTES)))


def text_of(table: Table) -> str:
    console = Console(width=130, file=StringIO())
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_no_wait_of_the_stream_ends_wrongly_or_hangs(result: SoakResult) -> None:
    assert not result.troubles


def test_waits_of_every_kind_have_ended(result: SoakResult) -> None:
    assert min(result.ended.values()) > 0


def test_nothing_grows(result: SoakResult, record_property: Callable[[str, object], None]) -> None:
    record_property(SLOPES, text_of(slope_table(result)))

    assert not [verdict.sentence for verdict in result.verdicts if verdict.is_leak]
    assert any(verdict.is_judged for verdict in result.verdicts)
