# SPDX-License-Identifier: Apache-2.0
"""The pages say what the code does: their tables, examples, commands and links."""

from __future__ import annotations

import importlib
import inspect
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_3_PLUS

from airflow_provider_alchemy import __version__
from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.api.endpoints import GET_CONTRACT_METADATA, REINGEST_CONTRACT
from airflow_provider_alchemy.api.models import RefreshState
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import describe_cost
from airflow_provider_alchemy.connection_form import EXTRA_FIELDS
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.operators.collection import RefreshCollectionOperator
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator, ReingestContractsOperator
from airflow_provider_alchemy.sensors.freshness import MetadataFreshSensor
from airflow_provider_alchemy.sensors.new_tokens import NewTokensSensor
from airflow_provider_alchemy.sensors.reingest import ReingestSensor
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE
from airflow_provider_alchemy.tokens.result import price_of
from airflow_provider_alchemy.tokens.state import Method
from airflow_provider_alchemy.triggers.chain import MetadataUpdateTrigger
from airflow_provider_alchemy.waits.reingest import RESULT_KEYS
from tests.docs.pages import DOCS, PATHS, PROJECT, README, SITE, page
from tests.tasks.dag_runs import new_dag

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
SNIPPETS = Path(__file__).parent / "snippets"
LARGEST_PICTURE = 300_000

GROUPS = {"AlchemyError", "AlchemyTransientError", "AlchemyPermanentError", "AlchemyRefreshFailedError"}
"""Bases that are never raised: the page names them below the table."""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", SITE, re.MULTILINE | re.DOTALL)


def block_with(language: str, words: str) -> str:
    (found,) = [block for block in blocks(language) if words in block]
    return found


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split(" | ")]


def table(*header: str, after: str = "") -> list[list[str]]:
    """Give the rows of the first table with this header, after a heading."""
    lines = iter(SITE[SITE.index(after) :].splitlines())
    for line in lines:
        if line.startswith("|") and cells(line) == list(header):
            next(lines)
            rows = []
            for row in lines:
                if not row.startswith("|"):
                    break
                rows.append(cells(row))
            assert all(len(row) == len(header) for row in rows)
            return rows
    pytest.fail(f"the site has no table {header} after {after!r}")


def code(cell: str) -> str:
    """Give the first code in a cell."""
    found = re.match(r"`([^`]+)`", cell)
    assert found, f"{cell!r} begins with no code"
    return found[1]


def examples_of_connections() -> Iterator[str]:
    pages = page("reference/connection.md") + page("howto/testing.md")
    for block in re.findall(r"^```bash\n(.*?)^```$", pages, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["export"]:
                name, value = words[1].split("=", 1)
                assert name == CONNECTION_VARIABLE
                yield value
            if "--conn-json" in words:
                yield words[words.index("--conn-json") + 1]


def steering_commands() -> list[str]:
    return [line for block in blocks("bash") for line in block.splitlines() if line.startswith("curl ")]


@pytest.mark.parametrize("example", examples_of_connections())
def test_each_example_of_a_connection_is_read(example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONNECTION_VARIABLE, example.replace("YOUR_API_KEY", "a-key"))
    with AlchemyHook() as hook:
        settings = hook.get_conn().settings
    is_emulator = "8765" in example
    assert settings == ClientSettings(
        api_key="any-key-does" if is_emulator else "a-key",
        host="http://127.0.0.1:8765" if is_emulator else None,
        source="connection 'alchemy_default'",
    )
    assert settings.base_url == ("http://127.0.0.1:8765" if is_emulator else "https://eth-mainnet.g.alchemy.com")


def test_a_connection_is_shown_as_json_as_uri_and_for_the_command_line() -> None:
    shown = list(examples_of_connections())
    assert [example.startswith("{") for example in shown] == [True, False, True, True]


def test_the_options_of_the_extra_fields_are_named() -> None:
    for field in EXTRA_FIELDS:
        for choice in field.choices:
            assert str(choice) in field.description


@pytest.mark.parametrize(
    "task_class",
    [
        RefreshCollectionOperator,
        MetadataFreshSensor,
        NewTokensSensor,
        ReingestContractOperator,
        ReingestContractsOperator,
        ReingestSensor,
        MetadataUpdateTrigger,
    ],
)
def test_each_class_has_a_page_that_is_made_from_its_docstring(task_class: type[Any]) -> None:
    assert f"```{{task}} {task_class.__module__}.{task_class.__name__}\n```" in SITE
    documented = set(re.findall(r"^    :param (\w+):", task_class.__doc__ or "", re.MULTILINE))
    parameters = inspect.signature(task_class.__init__).parameters.values()
    own = {one.name for one in parameters if one.name != "self" and one.kind is not inspect.Parameter.VAR_KEYWORD}
    assert own <= documented


def test_the_classes_of_the_table_exist() -> None:
    paths = [code(row[0]) for row in table("class", "what it does")]
    for path in paths:
        module, name = path.rsplit(".", 1)
        assert inspect.isclass(getattr(importlib.import_module(module), name))
    assert {path.rsplit(".", 1)[1] for path in paths} == {
        "RefreshCollectionOperator",
        "MetadataFreshSensor",
        "NewTokensSensor",
        "ReingestContractOperator",
        "ReingestContractsOperator",
        "ReingestSensor",
        "MetadataUpdateTrigger",
        "AlchemyHook",
    }


def test_the_table_of_states_names_each_state() -> None:
    rows = table("state", "outcome of the task", "what to do")
    shown = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(shown) == sorted([*map(str, RefreshState), "already_queried"])
    assert all(row[2] for row in rows)


def test_the_table_of_errors_names_each_error_and_what_becomes_of_it() -> None:
    rows = table("error", "when", "kind", "what to do")
    public = {
        name: value
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, errors.AlchemyError)
    }
    permanent = [row for row in rows if row[0].endswith("` with `is_permanent`")]
    shown = {code(name): kind for name, _, kind, _ in rows if not name.endswith("` with `is_permanent`")}
    assert len(shown) + len(permanent) == len(rows)
    assert set(shown) == set(public) - GROUPS
    assert [(shown[code(row[0])], row[2]) for row in permanent] == [("retries", "final")] * 2
    assert {name: outcome_of(public[name]) for name in shown} == shown
    assert all(row[3] for row in rows)
    assert all(f"`{name}`" in SITE for name in GROUPS)


def outcome_of(error: type[errors.AlchemyError]) -> str:
    if issubclass(error, errors.AlchemyTransientError):
        return "waits"
    is_time_out = issubclass(error, errors.AlchemyDeadlineError) and error.limit is errors.DeadlineKind.TIMEOUT
    return "final" if error.kind is errors.ErrorKind.PERMANENT or is_time_out else "retries"


def test_the_example_of_an_xcom_has_the_keys_of_the_result() -> None:
    (example,) = blocks("json")
    assert tuple(json.loads(example)) == RESULT_KEYS


def test_the_costs_are_calls_times_the_price() -> None:
    rows = table("what", "calls", "compute units", "in US dollars")
    assert len(rows) > 3
    for _, *cells_of_row, usd in rows:
        calls, units = (int(cell.replace(",", "")) for cell in cells_of_row)
        assert units == calls * REINGEST_CONTRACT.compute_units
        assert f"(${usd})" in describe_cost(units, ClientSettings(api_key="a-key").usd_per_million_units)
    assert f"**{REINGEST_CONTRACT.compute_units} compute units**" in SITE
    assert f"`getContractMetadata` ({GET_CONTRACT_METADATA.compute_units} compute units)" in SITE


def test_the_costs_of_ten_thousand_tokens_are_the_prices_that_tasks_go_by() -> None:
    shown = {row[0]: int(row[1].replace(",", "")) for row in table("way", "compute units", "of them")[1:4]}
    supply = GET_CONTRACT_METADATA.compute_units
    assert list(shown.values()) == [
        price_of(10_000, Method.BATCH, is_listed=False),
        price_of(10_000, Method.BATCH, is_listed=True) + supply,
        price_of(10_000, Method.QUEUE, is_listed=True) + supply,
    ]


@pytest.mark.integration
@pytest.mark.parametrize("command", steering_commands())
def test_the_emulator_takes_each_steering_command(command: str) -> None:
    words = shlex.split(command)[1:]
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    data = words[words.index("-d") + 1] if "-d" in words else None
    (address,) = [word for word in words if word.startswith("http://127.0.0.1:8765/")]
    with AlchemyEmulator() as emulator:
        url = address.replace("http://127.0.0.1:8765", emulator.url)
        answer = requests.request(method, url, data=data, timeout=300)
    assert answer.status_code == 200, answer.text


@pytest.mark.integration
def test_the_retry_policy_is_asked_about_a_final_error(alchemy_emulator: AlchemyEmulator) -> None:
    sdk = pytest.importorskip("airflow.sdk", reason="Airflow 2 has no retry policies")
    if not hasattr(sdk, "ExceptionRetryPolicy"):
        pytest.skip("retry policies begin with Airflow 3.3")
    names: dict[str, Any] = {}
    exec((SNIPPETS / "retry_policy.py").read_text(encoding="utf-8"), names)  # noqa: S102 - our own page
    alchemy_emulator.configure(monthly_units=0)
    instance = SimpleNamespace(map_index=-1, max_tries=5, try_number=1)
    with pytest.raises(errors.AlchemyQuotaError) as retried:
        names["refresh"].execute({"ti": instance})
    assert not isinstance(retried.value, AirflowFailException)
    names["refresh"].retry_policy = None
    with pytest.raises(errors.AlchemyQuotaError) as final:
        names["refresh"].execute({"ti": instance})
    assert isinstance(final.value, AirflowFailException)


def test_each_link_of_the_readme_leads_somewhere() -> None:
    targets = [target for target in re.findall(r"\]\(([^)\s]+)\)", README) if not target.startswith("https://")]
    assert [target for target in targets if not (PROJECT / target).exists()] == []


def test_each_picture_is_shown_with_a_text_and_is_small() -> None:
    picture = re.compile(r"!\[([^\]]+)\]\((?:\.\./)?images/([^)]+)\)")
    shown = {file for _, file in picture.findall(SITE)}
    files = {path.name for path in (DOCS / "images").iterdir()}
    assert shown == files
    assert all((DOCS / "images" / file).stat().st_size < LARGEST_PICTURE for file in files)


def test_no_page_has_python_that_no_test_runs() -> None:
    inline = [path.name for path in PATHS if re.search(r"^```python$", path.read_text("utf-8"), re.MULTILINE)]
    assert inline == []
    included = set(re.findall(r"tests/docs/snippets/(\w+\.py)", "".join(path.read_text("utf-8") for path in PATHS)))
    assert included == {path.name for path in SNIPPETS.glob("*.py")}


@pytest.mark.integration
@pytest.mark.parametrize("snippet", sorted(path.name for path in SNIPPETS.glob("*.py")))
def test_each_snippet_runs(snippet: str, alchemy_emulator: AlchemyEmulator) -> None:
    source = (SNIPPETS / snippet).read_text(encoding="utf-8").replace("http://127.0.0.1:8765", alchemy_emulator.url)
    if snippet == "retry_policy.py" and not AIRFLOW_V_3_3_PLUS:
        pytest.skip("retry policies begin with Airflow 3.3")
    for names in re.findall(r"^from airflow\.sdk import (.+)$", source, re.MULTILINE):
        sdk = pytest.importorskip("airflow.sdk", reason="Airflow 2 has no SDK")
        if missing := [name for name in names.split(", ") if not hasattr(sdk, name)]:
            pytest.skip(f"this Airflow has no {missing[0]}")
    with new_dag():
        exec(compile(source, snippet, "exec"), {"__name__": snippet})  # noqa: S102 - our own page


def test_the_readmes_dag_is_the_tutorials() -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert block == (SNIPPETS / "tutorial.py").read_text(encoding="utf-8")
    assert len(README.encode()) <= 8_000


@pytest.mark.parametrize("page", PAGES)
def test_each_make_target_exists(page: str) -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    text = (PROJECT / page).read_text(encoding="utf-8")
    named = re.findall(r"`(?:[A-Z_]+=\S+ )?make ([a-z][a-z0-9-]*)((?: [A-Z]+=)?)", text)
    assert named or page == "CHANGELOG.md"
    for target, option in named:
        assert target in targets
        assert not option or f"$({option.strip(' =')})" in makefile


def test_the_variable_with_the_key_is_the_demonstrations() -> None:
    assert "`ALCHEMY_API_KEY=… make demo`" in SITE
    assert 'KEY_VARIABLE = "ALCHEMY_API_KEY"' in (PROJECT / "dev/demo/service.py").read_text(encoding="utf-8")


def test_the_tested_versions_are_those_of_the_makefile() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    matrix = re.search(r"^MATRIX := (.*)$", makefile, re.MULTILINE)
    pinned = re.search(r"^apache-airflow==(\S+)", (PROJECT / "dev/constraints.txt").read_text("utf-8"), re.MULTILINE)
    assert matrix
    assert pinned
    airflow, _ = table("", "supported", "tested on")
    assert airflow[2].split(", ") == [*matrix[1].split(), pinned[1]]


def test_the_changelog_begins_with_this_version() -> None:
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[([^\]]+)\]", changelog, re.MULTILINE)[0] == __version__
