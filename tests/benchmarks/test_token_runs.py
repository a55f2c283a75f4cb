# SPDX-License-Identifier: Apache-2.0
"""Tiny runs of the tokens' benchmark: all tokens are refreshed, and tables can be made of what it gives."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.benchmarks import tokens
from dev.benchmarks.token_reference import tokens_by_the_hundred, tokens_one_by_one
from dev.benchmarks.token_runs import run_operator
from dev.benchmarks.token_server import ADDRESS
from dev.benchmarks.token_service import TokenServiceClient, token_service
from dev.local_airflow.certificates import write_certificates

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServiceClient]:
    folder = tmp_path_factory.mktemp("tokens")
    with token_service(write_certificates(folder), folder, latency_seconds=0.0) as running:
        yield running


def test_both_loops_refresh_all_their_tokens(service: TokenServiceClient) -> None:
    service.begin(300)
    assert tokens_one_by_one(service, ADDRESS, 5) > 0
    assert tokens_by_the_hundred(service, ADDRESS, 300) > 0

    seen = service.seen()
    assert (seen.calls, seen.tokens, seen.again) == (8, 300, 5)


def test_the_service_tells_when_tokens_have_their_answer(service: TokenServiceClient) -> None:
    service.begin(200)
    assert service.wait_for_answers(1, within_seconds=0.01) == 0
    tokens_by_the_hundred(service, ADDRESS, 200)
    assert service.wait_for_answers(200, within_seconds=300) == 200


def test_the_service_forgets_when_it_begins_anew(service: TokenServiceClient) -> None:
    service.begin(100)
    tokens_by_the_hundred(service, ADDRESS, 100)
    service.begin(100)
    assert (service.seen().calls, service.seen().compute_units) == (0, 0)


def test_the_operator_runs_in_a_process_of_its_own_and_may_be_profiled(
    service: TokenServiceClient, tmp_path: Path
) -> None:
    profile = tmp_path / "profile"

    run = run_operator(service, tmp_path, 250, is_listed=True, profile=profile)

    assert run.outcome.refreshed == run.seen.tokens == 250
    assert run.outcome.peak_bytes >= run.outcome.idle_bytes > 0
    assert run.tokens_per_second > 0
    assert profile.exists()


@pytest.mark.dag_run
def test_everything_but_the_kill_is_measured_and_written(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    counts = {"tokens": 300, "single-tokens": 3, "batched-tokens": 200, "listed-tokens": 100, "many-tokens": 300}
    small = {**counts, "few-tokens": 100, "rounds": 1, "killed-tokens": 0, "latency-seconds": 0.0}
    options = [part for name, value in small.items() for part in (f"--{name}", str(value))]

    assert tokens.main([*options, "--json", str(file)]) == 0

    figures = json.loads(file.read_text(encoding="utf-8"))["tokens"]
    speed, goals = tokens.tables(figures)
    assert len(speed.rows) == 3
    assert figures["budget"]["seen"]["refused"] == 0
    assert "peak MB, 300 tokens given against 100" in goals.text()
