# SPDX-License-Identifier: Apache-2.0
"""The connection form: one table, the same fields in both of Airflow's formats and in the reader."""

from __future__ import annotations

import dataclasses
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.connection_form import EXTRA_FIELDS, KNOWN_NETWORKS, ExtraField, conn_fields
from airflow_provider_alchemy.get_provider_info import get_provider_info
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook

NAMES = [field.name for field in EXTRA_FIELDS]

each_field = pytest.mark.parametrize("field", EXTRA_FIELDS, ids=NAMES)


def connection_type() -> dict[str, Any]:
    (found,) = get_provider_info()["connection-types"]
    assert isinstance(found, dict)
    return found


def test_the_table_has_the_documented_fields() -> None:
    assert set(NAMES) == {
        "network",
        "api_version",
        "auth",
        "timeout",
        "max_attempts",
        "compute_units_per_second",
        "usd_per_million_units",
        "shared_budget",
        "proxy",
        "verify",
        "allow_insecure",
    }


def test_the_provider_info_has_the_fields_of_the_table() -> None:
    assert list(connection_type()["conn-fields"]) == NAMES


def test_the_form_before_airflow_3_2_has_the_fields_of_the_table() -> None:
    pytest.importorskip("flask_appbuilder", reason="that form needs Flask AppBuilder, which this Airflow has not")

    assert list(AlchemyHook.get_connection_form_widgets()) == NAMES


def test_the_form_before_airflow_3_2_has_the_labels_and_defaults_of_the_table() -> None:
    pytest.importorskip("flask_appbuilder", reason="that form needs Flask AppBuilder, which this Airflow has not")
    widgets = AlchemyHook.get_connection_form_widgets()

    for field in EXTRA_FIELDS:
        label, arguments = widgets[field.name].args[0], widgets[field.name].kwargs
        assert (label, arguments["description"]) == (field.label, field.description)
        assert str(arguments["default"]) == str(field.default)


@each_field
def test_a_field_is_a_keyword_of_the_clients_settings_with_the_same_default(field: ExtraField) -> None:
    (setting,) = (each for each in dataclasses.fields(ClientSettings) if each.name == field.name)

    expected = {"true": True}.get(str(field.default), field.default) if field.name == "verify" else field.default
    assert setting.default == expected


@each_field
def test_a_field_has_a_label_and_a_description(field: ExtraField) -> None:
    shown = conn_fields()[field.name]

    assert shown["label"]
    assert shown["description"]


@each_field
def test_a_fields_default_is_valid_in_its_own_schema(field: ExtraField) -> None:
    jsonschema.validate(field.default, conn_fields()[field.name]["schema"])


@each_field
def test_a_field_may_be_left_empty(field: ExtraField) -> None:
    assert "null" in conn_fields()[field.name]["schema"]["type"]


@pytest.mark.parametrize("network", KNOWN_NETWORKS)
def test_the_form_names_each_known_network(network: str) -> None:
    assert network in conn_fields()["network"]["schema"]["examples"]
    assert network in conn_fields()["network"]["description"]


def test_the_form_accepts_any_other_network() -> None:
    jsonschema.validate("a-network-of-tomorrow", conn_fields()["network"]["schema"])


@pytest.mark.parametrize("name", ["proxy", "shared_budget"])
def test_the_form_hides_a_password(name: str) -> None:
    assert conn_fields()[name]["schema"]["format"] == "password"


def test_both_formats_name_the_key_and_the_base_url_alike() -> None:
    old, new = AlchemyHook.get_ui_field_behaviour(), connection_type()["ui-field-behaviour"]

    assert old["relabeling"] == new["relabeling"] == {"password": "API key", "host": "Base URL"}


def test_both_formats_hide_the_same_fields() -> None:
    old, new = AlchemyHook.get_ui_field_behaviour(), connection_type()["ui-field-behaviour"]

    assert old["hidden_fields"] == new["hidden-fields"]
