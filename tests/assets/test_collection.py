# SPDX-License-Identifier: Apache-2.0
"""``collection()`` and Airflow's own ``Asset`` (2.11: ``Dataset``) with a collection's URI, where a DAG is parsed."""

from __future__ import annotations

import inspect
import subprocess
import sys
import warnings
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Asset
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS
from airflow.providers_manager import ProvidersManager

from airflow_provider_alchemy.api.errors import AlchemyAddressError, AlchemyArgumentError
from airflow_provider_alchemy.assets import collection
from airflow_provider_alchemy.defaults import DEFAULT_NETWORK
from tests.tasks.lives import ADDRESS, LOWER

URI = f"alchemy://eth-mainnet/{LOWER}"
BAD_URIS = ["alchemy://eth-mainnet/0x12", f"alchemy://eth_mainnet/{LOWER}", f"{URI}?token=17", f"{URI}/17"]

on_airflow_3 = pytest.mark.skipif(not AIRFLOW_V_3_0_PLUS, reason="Airflow 2 has datasets")
on_airflow_2 = pytest.mark.skipif(AIRFLOW_V_3_0_PLUS, reason="Airflow 3 has assets")


class TestCollection:
    def test_it_is_an_asset_with_the_collections_uri(self) -> None:
        asset = collection(ADDRESS)

        assert isinstance(asset, Asset)
        assert asset.uri == URI

    def test_it_is_the_asset_that_its_uri_makes(self) -> None:
        assert collection(ADDRESS) == Asset(uri=URI)

    def test_the_network_is_part_of_it(self) -> None:
        assert collection(ADDRESS, "base-mainnet").uri == f"alchemy://base-mainnet/{LOWER}"

    def test_the_default_network_is_the_packages(self) -> None:
        assert inspect.signature(collection).parameters["network"].default == DEFAULT_NETWORK

    def test_an_extra_stays_with_it(self) -> None:
        assert collection(ADDRESS, extra={"team": "art"}).extra == {"team": "art"}

    @pytest.mark.parametrize("address", ["0x12", "", None, ADDRESS.replace("E9FC", "e9FC"), "{{ params.address }}"])
    def test_a_wrong_address_is_refused(self, address: Any) -> None:
        with pytest.raises(AlchemyAddressError, match="argument 'contract_address'"):
            collection(address)

    @pytest.mark.parametrize("network", ["", None, "eth_mainnet", "ETH-MAINNET", "eth-mainnet/x", "a@b"])
    def test_a_wrong_network_is_refused(self, network: Any) -> None:
        with pytest.raises(AlchemyArgumentError, match="argument 'network'"):
            collection(ADDRESS, network)

    @on_airflow_3
    def test_name_and_group_are_airflows(self) -> None:
        asset = collection(ADDRESS, name="punks", group="art")

        assert (asset.name, asset.group, asset.uri) == ("punks", "art", URI)

    @on_airflow_3
    def test_its_name_is_its_uri_however_it_was_written(self) -> None:
        assert collection(ADDRESS).name == collection(LOWER).name == URI

    @on_airflow_3
    def test_watchers_watch_it(self) -> None:
        sdk = pytest.importorskip("airflow.sdk")
        from airflow.providers.standard.triggers.file import FileDeleteTrigger  # noqa: PLC0415 - Airflow 3 only

        watcher = sdk.AssetWatcher(name="news", trigger=FileDeleteTrigger(filepath="/nowhere"))

        assert collection(ADDRESS, watchers=iter([watcher])).watchers == [watcher]

    @on_airflow_2
    @pytest.mark.parametrize("argument", [{"name": "punks"}, {"group": "art"}, {"watchers": ["a watcher"]}])
    def test_what_airflow_2_has_not_is_refused_there(self, argument: dict[str, Any]) -> None:
        (name,) = argument
        with pytest.raises(AlchemyArgumentError, match=f"argument '{name}' needs Airflow 3.*Leave it out"):
            collection(ADDRESS, **argument)


class TestAirflowsOwnAsset:
    @pytest.mark.parametrize("uri", [f"alchemy://eth-mainnet/{ADDRESS}", f"{URI}/", f"ALCHEMY://ETH-MAINNET/{LOWER}"])
    def test_its_uri_becomes_the_collections(self, uri: str) -> None:
        assert Asset(uri=uri).uri == URI

    @on_airflow_3
    @pytest.mark.parametrize("uri", BAD_URIS)
    def test_a_bad_uri_is_refused(self, uri: str) -> None:
        with pytest.raises(ValueError, match="Write the network and the contract address"):
            Asset(uri)

    @on_airflow_2
    @pytest.mark.parametrize("uri", BAD_URIS)
    def test_airflow_2_warns_of_a_bad_uri(self, uri: str) -> None:
        with pytest.warns(UserWarning, match="Write the network and the contract address"):
            Asset(uri=uri)

    @on_airflow_2
    @pytest.mark.parametrize("uri", BAD_URIS)
    def test_airflow_2_refuses_a_bad_uri_where_it_is_told_to_be_strict(
        self, uri: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__STRICT_DATASET_URI_VALIDATION", "True")

        with pytest.raises(ValueError, match="Write the network and the contract address"):
            Asset(uri=uri)


class TestRegistration:
    def test_airflow_makes_the_asset_from_its_parts(self) -> None:
        manager: Any = ProvidersManager()  # type: ignore[no-untyped-call]
        factories = manager.asset_factories if AIRFLOW_V_3_0_PLUS else manager.dataset_factories

        made = factories["alchemy"](contract_address=ADDRESS, network="eth-mainnet", extra={"team": "art"})

        assert (made.uri, made.extra) == (URI, {"team": "art"})

    def test_airflow_knows_the_uri_as_one_that_keeps_to_its_rules(self) -> None:
        assert collection(ADDRESS).normalized_uri == URI


@pytest.mark.parametrize("module", ["airflow_provider_alchemy.assets", "airflow_provider_alchemy.assets.uris"])
def test_importing_it_loads_next_to_nothing(module: str) -> None:
    heavy = (
        "airflow.",
        "airflow_provider_alchemy.hooks",
        "Crypto",
        "pendulum",
        "requests",
        "aiohttp",
    )
    script = f"import sys, {module}; print([name for name in sys.modules if name.startswith({heavy!r})])"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - a script of this module

    assert done.stdout.strip() == "[]"


def test_a_good_collection_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        collection(ADDRESS)
