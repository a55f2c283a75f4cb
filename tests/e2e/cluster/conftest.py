# SPDX-License-Identifier: Apache-2.0
"""
One cluster for all tests of this folder.

``CLUSTER_WAITS`` says how many waits a scenario has; ``CLUSTER_KILLS=each`` plays each kill as a scenario of its own,
which takes most of an hour, and not several of them in a row over the same waits.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev.benchmarks.soak.counting import counting_environment
from dev.benchmarks.soak.soaking import DAGS as SOAK_DAGS
from dev.cluster import Cluster, open_cluster
from tests.e2e.cluster.blows import SCENARIOS
from tests.e2e.cluster.dags.waits import DEFAULT_WAITS, SCENARIOS_VARIABLE, WAITS_VARIABLE
from tests.e2e.cluster.figures import HOME
from tests.e2e.cluster.stage import SHARED, TROUBLED, Stage

DAGS = Path(__file__).parent / "dags"


@pytest.fixture(scope="package")
def waits() -> int:
    return int(os.environ.get(WAITS_VARIABLE, DEFAULT_WAITS))


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory, api_key: str, waits: int) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    # A copy: a file is touched.
    dags = Path(shutil.copytree(DAGS, folder / "dags"))
    shutil.copytree(SOAK_DAGS, dags / "soak")
    with open_cluster(
        folder,
        dags,
        api_key=api_key,
        emulator_options=["--units-per-second=none", "--block-seconds=none"],
        environment={
            WAITS_VARIABLE: str(waits),
            SCENARIOS_VARIABLE: ",".join([*SCENARIOS, *SHARED, TROUBLED]),
            **counting_environment(os.environ),
        },
    ) as cluster:
        yield cluster


@pytest.fixture(scope="package")
def stage(cluster: Cluster, waits: int) -> Stage:
    stage = Stage(cluster, waits)
    stage.begin_watching()
    return stage


@pytest.fixture(autouse=True)
def told_where_the_files_are(cluster: Cluster, record_property: Callable[[str, object], None]) -> None:
    record_property(HOME, str(cluster.airflow.home))
