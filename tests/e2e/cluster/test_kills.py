# SPDX-License-Identifier: Apache-2.0
"""Whatever is killed: every wait ends, as it should, and not before the service says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.cluster.blows import SCENARIOS
from tests.e2e.cluster.figures import ROW, row_of
from tests.e2e.cluster.stage import Stage
from tests.e2e.cluster.verdicts import Verdict

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module", params=SCENARIOS)
def verdict(request: pytest.FixtureRequest, stage: Stage) -> Verdict:
    return stage.play(request.param, SCENARIOS[request.param])


def test_no_wait_ends_wrongly_is_lost_or_hangs(
    verdict: Verdict, record_property: Callable[[str, object], None]
) -> None:
    record_property(ROW, row_of(verdict, [blow.name for blow in SCENARIOS[verdict.name]]))

    assert not verdict.wrong


def test_nothing_is_reported_as_finished_before_the_service_says_so(verdict: Verdict) -> None:
    assert not verdict.early


def test_each_blow_costs_a_contract_one_call_at_most_after_its_terminal_answer(verdict: Verdict) -> None:
    blows = len(SCENARIOS[verdict.name])
    assert not {contract: calls for contract, calls in verdict.again.items() if calls > blows}


def test_a_contract_is_asked_about_once_at_most_after_its_answer_was_stored(verdict: Verdict) -> None:
    assert not verdict.late
