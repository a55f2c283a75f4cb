# SPDX-License-Identifier: Apache-2.0
"""What OpenLineage is told of a task, from what its last process knows, and that nothing needs OpenLineage."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import Any

import pytest

from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.assets.uris import convert_asset_to_openlineage
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.batches import address
from tests.tasks.lives import ADDRESS, LOWER
from tests.tasks.outlets import ALL_KINDS, Build, Processes, batch, fresh, operator, refresh, sensor

pytestmark = pytest.mark.integration

THIS = collection(ADDRESS)
DATASET = ("alchemy://eth-mainnet", LOWER)

OUTPUTS = {"operator": operator, "refresh": refresh, "batch": batch}
INPUTS = {"sensor": sensor, "fresh": fresh}
DEFERRED = {"operator": operator, "sensor": sensor, "fresh": fresh}
MODULES = ("operators.reingest", "operators.collection", "sensors.reingest", "sensors.freshness", "assets")


@pytest.fixture
def collections(emulator: AlchemyEmulator) -> AlchemyEmulator:
    """Have a refresh that takes more than one look, and tokens."""
    emulator.set_default_job(running_seconds=0.2)
    emulator.set_collection(ADDRESS, tokens=10)
    return emulator


def ended(build: Build, **arguments: Any) -> Any:
    """Lead a task to its end and give the task of its last process."""
    processes = Processes(partial(build, **arguments))
    processes.lead()
    return processes.task


def lineage(task: Any) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Give inputs and outputs as OpenLineage's own integration takes them from a task that has ended."""
    base = pytest.importorskip("airflow.providers.openlineage.extractors.base", reason="OpenLineage is not installed")
    found = base.DefaultExtractor(task).extract_on_complete(None)
    inputs, outputs = ([(item.namespace, item.name) for item in side] for side in (found.inputs, found.outputs))
    return inputs, outputs


@pytest.mark.usefixtures("collections")
class TestWithOpenLineage:
    @pytest.mark.parametrize("build", OUTPUTS.values(), ids=OUTPUTS)
    def test_what_an_operator_refreshes_is_its_output(self, build: Build) -> None:
        assert lineage(ended(build)) == ([], [DATASET])

    @pytest.mark.parametrize("build", INPUTS.values(), ids=INPUTS)
    def test_what_a_sensor_looks_at_is_its_input(self, build: Build) -> None:
        assert lineage(ended(build)) == ([DATASET], [])

    @pytest.mark.parametrize("build", DEFERRED.values(), ids=DEFERRED)
    def test_a_process_that_only_sees_the_end_tells_the_same(self, build: Build) -> None:
        assert lineage(ended(build, deferrable=True)) == lineage(ended(build))

    def test_each_collection_of_a_batch_is_an_output(self) -> None:
        _, outputs = lineage(ended(batch, contract_addresses=[address(1), address(2)]))

        assert sorted(outputs) == [("alchemy://eth-mainnet", address(1)), ("alchemy://eth-mainnet", address(2))]

    def test_a_task_that_has_not_ended_well_here_tells_of_nothing(self) -> None:
        assert lineage(operator()) == ([], [])

    def test_an_asset_and_a_task_are_one_dataset(self) -> None:
        utils = pytest.importorskip("airflow.providers.openlineage.utils.utils", reason="OpenLineage is not installed")
        translate = getattr(utils, "translate_airflow_asset", None) or utils.translate_airflow_dataset

        dataset = translate(THIS, None)

        assert (dataset.namespace, dataset.name) == DATASET


class TestWithoutOpenLineage:
    @pytest.fixture(autouse=True)
    def it_is_not_installed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in [name for name in sys.modules if name.startswith(("openlineage", "airflow.providers.openlineage"))]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.delitem(sys.modules, "airflow.providers.common.compat.openlineage.facet", raising=False)
        monkeypatch.setitem(sys.modules, "openlineage", None)
        monkeypatch.setitem(sys.modules, "airflow.providers.openlineage", None)

    @pytest.mark.parametrize("build", ALL_KINDS.values(), ids=ALL_KINDS)
    def test_a_task_ends_and_has_nothing_to_tell(self, build: Build, collections: AlchemyEmulator) -> None:
        task = ended(build, outlets=[THIS])

        assert task.get_openlineage_facets_on_complete(None) is None
        assert collections.count() > 0

    def test_an_asset_becomes_no_dataset(self) -> None:
        assert convert_asset_to_openlineage(THIS, None) is None


@pytest.mark.dag_run
@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_parsing_a_dag_loads_no_openlineage(module: str) -> None:
    script = (
        # Airflow itself reads what OpenLineage's provider is, where that is installed.
        "import sys\n"
        "class Refusal:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        assert not name.startswith(('openlineage', 'airflow.providers.openlineage.extractors')), name\n"
        "sys.meta_path.insert(0, Refusal())\n"
        f"import airflow_provider_alchemy.{module}"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)  # noqa: S603 - a script of this module

    assert done.returncode == 0, done.stderr[-2000:]
