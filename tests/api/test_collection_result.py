# SPDX-License-Identifier: Apache-2.0
"""What a refresh comes to: the result, whether it is good enough, and the full list."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_alchemy.api.collection_record import CollectionRecord, Method, Stage
from airflow_provider_alchemy.api.collection_result import error_of, failures_of, report_lines, result_of
from airflow_provider_alchemy.api.errors import AlchemyTokensFailedError
from airflow_provider_alchemy.api.token_groups import STALE, TokenGroup

ASKED_AT = 1_800_000_000.5
SUBJECT = "Collection 0xabc on eth-mainnet"


def record_of(tokens: int, *failed: TokenGroup, **known: Any) -> CollectionRecord:
    missing = sum(group.count for group in failed)
    defaults: dict[str, Any] = {"stage": Stage.DONE, "submitted_at": "2027-01-15T08:00:00+00:00"}
    return CollectionRecord(
        contract_address="0xabc",
        network="eth-mainnet",
        method=Method.AUTO,
        tokens=tokens,
        refreshed=tokens - missing,
        failed=list(failed),
        **{**defaults, "finished_at": "2027-01-15T08:01:30.5+00:00", **known},
    )


def stale(number: int, start: int = 0) -> TokenGroup:
    return TokenGroup.of(range(start, start + number), asked_at=ASKED_AT, reason=STALE)


def final(number: int, start: int = 5000) -> TokenGroup:
    return TokenGroup.of(range(start, start + number), reason="no_such_token", is_final=True)


class TestTheResult:
    def test_it_has_what_every_result_has_and_its_own(self) -> None:
        assert result_of(record_of(1000, stale(2), final(1), polls=25, compute_units=10_960)) == {
            "contract_address": "0xabc",
            "network": "eth-mainnet",
            "state": "finished",
            "progress": 99,
            "already_finished": False,
            "submitted_at": "2027-01-15T08:00:00+00:00",
            "finished_at": "2027-01-15T08:01:30.5+00:00",
            "polls": 25,
            "compute_units": 10_960,
            "method": "auto",
            "counts": {"tokens": 1000, "refreshed": 997, "stale": 2, "failed": 1},
            "failures": {
                "stale": {"tokens": 2, "token_ids": ["0", "1"]},
                "no_such_token": {"tokens": 1, "token_ids": ["5000"]},
            },
            "duration_seconds": 90.5,
        }

    def test_of_an_empty_collection_all_is_done(self) -> None:
        result = result_of(record_of(0))

        assert (result["state"], result["progress"], result["failures"]) == ("finished", 100, {})
        assert result["counts"] == {"tokens": 0, "refreshed": 0, "stale": 0, "failed": 0}

    def test_before_its_end_it_is_in_progress(self) -> None:
        result = result_of(record_of(10, stage=Stage.REFRESH, finished_at=None))

        assert (result["state"], result["finished_at"], result["duration_seconds"]) == ("in_progress", None, None)

    def test_it_is_json(self) -> None:
        result = result_of(record_of(1000, stale(200), final(300)))

        assert json.loads(json.dumps(result)) == result

    def test_a_hundred_ids_are_named_for_each_reason(self) -> None:
        failures = failures_of([stale(60), final(150), stale(60, 200)])

        assert (failures["stale"]["tokens"], failures["no_such_token"]["tokens"]) == (120, 150)
        assert failures["stale"]["token_ids"] == [str(number) for number in [*range(60), *range(200, 240)]]
        assert len(failures["no_such_token"]["token_ids"]) == 100

    def test_ids_are_texts_because_they_may_be_larger_than_json_numbers(self) -> None:
        largest = 2**256 - 1

        assert failures_of([TokenGroup.of([largest], reason=STALE)])["stale"]["token_ids"] == [str(largest)]


class TestTheVerdict:
    @pytest.mark.parametrize(
        ("max_failed", "failed", "is_good"),
        [
            (0, 0, True),
            (0, 1, False),
            (5, 5, True),
            (5, 6, False),
            (0.0, 1, False),
            (0.29, 29, True),
            (0.29, 30, False),
            (0.295, 29, True),
            (1.0, 100, True),
            (1, 2, False),
        ],
    )
    def test_max_failed_is_a_number_or_a_share(self, max_failed: float, failed: int, is_good: bool) -> None:
        record = record_of(100, *([stale(failed)] if failed else []))

        assert (error_of(record, max_failed, SUBJECT) is None) is is_good

    def test_of_no_token_none_may_fail(self) -> None:
        assert error_of(record_of(0), 0.5, SUBJECT) is None

    def test_it_says_how_many_and_why(self) -> None:
        error = error_of(record_of(1000, stale(200), final(3), stale(100, 300)), 0.1, SUBJECT)

        assert error is not None
        assert str(error).startswith(
            "Collection 0xabc on eth-mainnet: 303 of 1,000 tokens are not proven fresh (300 stale, 3 no_such_token); "
            "max_failed allows 0.1 of them, 100. "
        )

    @pytest.mark.parametrize(
        ("groups", "max_failed", "is_permanent"),
        [((stale(1), final(1)), 1, False), ((stale(1), final(1)), 0, True), ((stale(5),), 0, False)],
    )
    def test_a_retry_is_worth_it_unless_too_many_fail_for_good(
        self, groups: tuple[TokenGroup, ...], max_failed: int, is_permanent: bool
    ) -> None:
        error = error_of(record_of(100, *groups), max_failed, SUBJECT)

        assert isinstance(error, AlchemyTokensFailedError)
        assert error.is_permanent is is_permanent


class TestTheReport:
    def test_it_has_a_line_for_each_token_without_proof(self) -> None:
        lines = [json.loads(line) for line in report_lines(record_of(1000, stale(2), final(1)))]

        asked = {"requested_at": "2027-01-15T08:00:00.500000+00:00"}
        assert lines == [
            {"token_id": "0", "state": "stale", "reason": "stale", "is_final": False, **asked},
            {"token_id": "1", "state": "stale", "reason": "stale", "is_final": False, **asked},
            {"token_id": "5000", "state": "failed", "reason": "no_such_token", "is_final": True, "requested_at": None},
        ]

    def test_it_is_made_line_by_line(self) -> None:
        lines = report_lines(record_of(10**6, stale(10**4)))

        assert next(lines).endswith("}\n")

    def test_where_all_are_proven_it_is_empty(self) -> None:
        assert list(report_lines(record_of(1000))) == []
