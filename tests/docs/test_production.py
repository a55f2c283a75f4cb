# SPDX-License-Identifier: Apache-2.0
"""The pages for production say what the code and Airflow do: settings, metrics, numbers and commands."""

from __future__ import annotations

import configparser
import importlib
import inspect
import json
import re
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import conf
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_alchemy.api.endpoints import (
    ETH_BLOCK_NUMBER,
    ETH_GET_LOGS,
    GET_NFT_METADATA_BATCH,
    REINGEST_CONTRACT,
)
from airflow_provider_alchemy.api.settings import MAX_CALL_THROUGHPUT_UNITS, WINDOW_SECONDS, ClientSettings
from airflow_provider_alchemy.api.throttle import RECOVERY_STEP
from airflow_provider_alchemy.defaults import BACK_STOP, DEFAULT_MAX_INTERVAL_SECONDS
from airflow_provider_alchemy.hooks import alchemy as metrics
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE
from airflow_provider_alchemy.triggers.chain import CURSOR_KEY
from tests.docs.pages import PROJECT, page

PACKAGE = PROJECT / "airflow_provider_alchemy"
PAGE = "\n".join(
    page(name)
    for name in (
        "howto/production.md",
        "howto/plan.md",
        "howto/upgrade.md",
        "reference/metrics.md",
        "explain/proven.md",
        "troubleshooting.md",
    )
)

of_newest = pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="the pages are about Airflow 3.3")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def rows(header: str) -> list[list[str]]:
    """Give the cells of the table with this header."""
    lines = iter(PAGE[PAGE.index(f"| {header} |") :].splitlines()[2:])
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split(" | ")])
    return found


def codes(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def settings_named() -> set[tuple[str, str]]:
    inline = {(section, name) for section, name in re.findall(r"`\[(\w+)\] (\w+)`", PAGE)}
    parser = configparser.ConfigParser()
    parser.read_string("".join(blocks("ini")))
    return inline | {(section, name) for section in parser.sections() for name in parser[section]}


@of_newest
@pytest.mark.parametrize(("section", "name"), sorted(settings_named()))
def test_each_setting_is_airflows(section: str, name: str) -> None:
    assert name in conf.configuration_description[section]["options"]


@of_newest
def test_the_defaults_of_the_triggerers_settings_are_airflows() -> None:
    shown = {codes(row[0])[0]: codes(row[1])[0] for row in rows("setting | default | what to do")}
    assert len(shown) == 7
    for place, default in shown.items():
        section, name = place.removeprefix("[").split("] ")
        assert conf.configuration_description[section]["options"][name]["default"] == default


@of_newest
@pytest.mark.parametrize(
    "told",
    [
        "[scheduler] task_instance_heartbeat_timeout` (300 s)",
        "[triggerer] triggerer_health_check_threshold` (30 s)",
        "[scheduler] task_queued_timeout` (600 s)",
        "[state_store] default_retention_days` (30)",
        "[database] sql_alchemy_pool_size` + `[database] sql_alchemy_max_overflow` (5 + 10)",
    ],
)
def test_a_default_that_a_sentence_tells_is_airflows(told: str) -> None:
    assert told in PAGE
    values = [float(number) for number in re.findall(r"[\d.]+", told[told.rindex("(") :])]
    places = re.findall(r"\[(\w+)\] (\w+)", told)
    assert [float(conf.configuration_description[s]["options"][n]["default"]) for s, n in places] == values


def test_the_metrics_of_this_package_are_all_there() -> None:
    emitted = set(re.findall(r'"(alchemy\.\w+)"', inspect.getsource(metrics)))
    shown = {codes(row[0])[0] for row in rows("metric | kind | what it tells | alert when | what to do")}
    assert emitted == {name for name in shown if name.startswith("alchemy.")}
    assert set(re.findall(r"`(alchemy\.\w+)`", PAGE)) == emitted


@of_newest
def test_the_other_metrics_are_airflows() -> None:
    registry = importlib.import_module("airflow._shared.observability.metrics")
    template = (Path(str(registry.__file__)).parent / "metrics_template.yaml").read_text(encoding="utf-8")
    shown = {codes(row[0])[0] for row in rows("metric | kind | what it tells | alert when | what to do")}
    known = set(re.findall(r'- name: "([^"]+)"', template))
    assert {name for name in shown if not name.startswith("alchemy.")} <= known


def test_the_units_of_a_poll_are_the_endpoints() -> None:
    look = ETH_BLOCK_NUMBER, ETH_GET_LOGS
    asked = [(REINGEST_CONTRACT,), (GET_NFT_METADATA_BATCH,), look[:1], look, look]
    shown = [(int(row[1]), int(row[2])) for row in rows("a poll of | units of throughput | price in compute units")]
    assert shown == [
        (sum(call.throughput_units for call in calls), sum(call.compute_units for call in calls)) for calls in asked
    ]


def test_the_most_waits_follow_from_the_plan_and_the_interval() -> None:
    intervals = (60, 300, 600)
    table = rows("`compute_units_per_second` | P = 60 | P = 300 | P = 600")
    for row in table:
        plan, *shown = [int(cell.replace(",", "")) for cell in row]
        assert shown == [plan * seconds // MAX_CALL_THROUGHPUT_UNITS for seconds in intervals]
    assert [row[0] for row in table] == ["300", "10,000"]


def test_the_pool_has_the_slots_that_a_free_plan_carries_with_a_poll_a_minute() -> None:
    (command,) = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("airflow pools")]
    words = shlex.split(command)
    assert int(words[4]) == 300 * 60 // MAX_CALL_THROUGHPUT_UNITS
    assert words[-1] == "--include-deferred"


def test_the_shares_of_the_example_fit_into_the_free_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for block in blocks("bash") for line in block.splitlines() if line.startswith("export ")]
    rates = []
    for line in lines:
        name, value = shlex.split(line)[1].split("=", 1)
        assert name == CONNECTION_VARIABLE
        monkeypatch.setenv(name, json.dumps(json.loads(value) | {"password": "a-key"}))
        with AlchemyHook() as hook:
            rates.append(hook.get_conn().settings.compute_units_per_second)
    shared, triggerer, worker = rates
    assert 2 * triggerer + worker == shared == 300
    assert "two of them share 240 of 300 units a second" in PAGE


def test_what_the_page_says_of_the_budget_is_so() -> None:
    assert "grows back by an eighth of its full rate each ten seconds" in PAGE
    assert (RECOVERY_STEP, WINDOW_SECONDS) == (1 / 8, 10)
    assert "The least is 48." in PAGE
    assert MAX_CALL_THROUGHPUT_UNITS / WINDOW_SECONDS == 48


def test_the_defaults_of_what_is_tried_again_are_the_arguments() -> None:
    shown = {codes(row[0])[-1]: int(codes(row[1])[0]) for row in rows("argument | default | what it outlasts")}
    assert shown == {
        "max_consecutive_failures": default_of(ReingestSensor, "max_consecutive_failures"),
        "max_resubmits": default_of(ReingestContractOperator, "max_resubmits"),
        "token_attempts": default_of(RefreshCollectionOperator, "token_attempts"),
        "max_attempts": ClientSettings(api_key="any").max_attempts,
    }
    assert default_of(RefreshCollectionOperator, "attempt_interval") == 10


def default_of(task: type[Any], argument: str) -> Any:
    return inspect.signature(task.__init__).parameters[argument].default


def test_the_refresh_of_tokens_has_no_timeout() -> None:
    assert "timeout" not in inspect.signature(RefreshCollectionOperator.__init__).parameters


def test_the_back_stop_and_the_longest_interval_are_ten_minutes() -> None:
    assert "ten minutes after the earlier of the two" in PAGE
    assert timedelta(minutes=10) == BACK_STOP
    assert timedelta(seconds=DEFAULT_MAX_INTERVAL_SECONDS) == BACK_STOP


def test_each_key_of_a_saved_state_is_named() -> None:
    sources = [path.read_text("utf-8") for room in ("tasks", "sensors") for path in (PACKAGE / room).glob("*.py")]
    given = re.compile(r'(?:\bKEY|store_key) = "(\w+)"|TaskStateStore\(context, "(\w+)"')
    keys = {key for source in sources for pair in given.findall(source) for key in pair if key}
    assert len(keys) == 5
    (row,) = [row for row in rows("in the database | who wrote it | who reads it") if row[0].startswith("saved")]
    assert set(codes(row[0])) == keys
    assert f"(`{CURSOR_KEY}`)" in PAGE
