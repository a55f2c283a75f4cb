# SPDX-License-Identifier: Apache-2.0
"""The operator for a collection's tokens through its processes: results, prices, failures, pauses."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowTaskTimeout

from airflow_provider_alchemy.api.errors import (
    AlchemyAuthenticationError,
    AlchemyListingError,
    AlchemyNetworkError,
    AlchemyNoSuchCollectionError,
    AlchemySpendingLimitError,
    AlchemyTokensFailedError,
)
from airflow_provider_alchemy.testing import AlchemyEmulator
from airflow_provider_alchemy.testing.plugin import CONNECTION_VARIABLE, connection_json
from tests.conftest import TaskLog
from tests.tasks.lives import ADDRESS, LOWER
from tests.tasks.tokens import (
    BATCH,
    LISTING,
    METADATA,
    RESULT_KEYS,
    Tries,
    counts,
    really_refreshed,
    refresh,
)
from tests.tasks.tokens import short_intervals as short_intervals  # noqa: PLC0414 - a fixture

pytestmark = pytest.mark.integration


class TestTheResult:
    def test_it_is_that_of_the_documentation(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=250)

        result = Tries().lead(refresh())

        assert set(result) == RESULT_KEYS
        assert (result["contract_address"], result["network"], result["method"]) == (LOWER, "eth-mainnet", "batch")
        assert (result["state"], result["progress"], result["counts"]) == ("finished", 100, counts(250))
        assert (result["polls"], result["compute_units"]) == (emulator.count(), emulator.compute_units)
        assert really_refreshed(emulator) == set(range(250))

    @pytest.mark.parametrize(("token_ids", "calls"), [(None, 2), ([], 0)], ids=["empty collection", "empty list"])
    def test_with_nothing_to_refresh_it_is_finished_and_says_so(
        self, token_ids: Any, calls: int, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=0 if token_ids is None else 5)

        result = Tries().lead(refresh(token_ids=token_ids))

        assert (result["state"], result["counts"], emulator.count()) == ("finished", counts(0), calls)
        assert "there is no token to refresh" in task_log()

    @pytest.mark.parametrize("supply", [None, "0", "7", "many"])
    def test_a_wrong_supply_changes_nothing(self, supply: str | None, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=250, total_supply=supply)

        result = Tries().lead(refresh())

        assert (result["counts"], result["progress"]) == (counts(250), 100)

    def test_a_list_that_ends_early_is_an_error_that_names_both_numbers(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=100, total_supply="10000")

        with pytest.raises(AlchemyListingError, match="has 10,000 tokens, and Alchemy lists only 100 of them"):
            Tries().lead(refresh())

    def test_a_few_tokens_that_are_not_listed_are_a_warning_and_in_the_result(
        self, emulator: AlchemyEmulator, task_log: TaskLog
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=250, total_supply="255")

        result = Tries().lead(refresh())

        assert result["counts"] == counts(250)
        assert result["failures"] == {"not_listed": {"tokens": 5, "token_ids": []}}
        assert "Alchemy lists 250 tokens, 5 fewer than the contract's supply" in task_log()

    def test_the_supply_of_an_erc1155_counts_copies(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=20, total_supply="100000", token_type="ERC1155")

        assert Tries().lead(refresh())["failures"] == {}

    def test_a_supply_beyond_any_number_of_tokens_is_unknown(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=20, total_supply=str(2**256 - 1))

        assert Tries().lead(refresh())["counts"] == counts(20)

    def test_mixed_and_doubled_ids_are_asked_for_once(self, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        result = Tries().lead(refresh(token_ids=[7, "7", "0x7", "007", "0xA", 10, "11"]))

        assert result["counts"] == counts(3)
        assert (emulator.count(), emulator.asked_tokens()) == (1, {7: 1, 10: 1, 11: 1})
        assert "4 token ids were named more than once" in task_log()

    @pytest.mark.usefixtures("emulator")
    def test_failures_are_named_by_reason(self) -> None:
        result = Tries().lead(refresh(token_ids=[5, 10_000, 10_001], max_failed=2))

        assert result["failures"] == {"no_such_token": {"tokens": 2, "token_ids": ["10000", "10001"]}}
        assert result["counts"] == counts(3, failed=2)

    def test_the_key_is_in_nothing_that_is_left(self, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        emulator.set_collection(ADDRESS, tokens=250)
        emulator.add_fault("http", status=500, message=f"bad key {emulator.api_key}", times=1, endpoint=BATCH)
        tries = Tries()

        result = tries.lead(refresh(attempt_interval=10, token_attempts=1, max_failed=1.0))

        assert tries.store is not None
        assert emulator.api_key not in json.dumps([result, tries.store.texts]) + task_log()


class TestThePrice:
    @pytest.mark.parametrize(
        ("arguments", "price", "sent"),
        [
            ({}, 160 + 3 * 1080, 1),
            ({"method": "queue"}, 160 + 3 * 1080 + 250 * 40, 1),
            ({"token_ids": range(250)}, 3 * 480, 0),
            ({"token_ids": range(250), "method": "queue"}, 3 * 480 + 250 * 40, 0),
        ],
    )
    def test_what_would_cost_more_is_refused_before_anything_else_is_sent(
        self, arguments: dict[str, Any], price: int, sent: int, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=250)

        refused = Tries().failure(refresh(**arguments, max_compute_units=price - 1))

        assert isinstance(refused, AlchemySpendingLimitError)
        assert isinstance(refused, AirflowFailException)
        assert (emulator.count(METADATA), emulator.count()) == (sent, sent)
        assert f"Raise max_compute_units to {price:,} at least" in str(refused)

    def test_what_it_pays_for_is_done_and_logged_beforehand(self, emulator: AlchemyEmulator, task_log: TaskLog) -> None:
        emulator.set_collection(ADDRESS, tokens=250)

        assert Tries().lead(refresh(max_compute_units=160 + 3 * 1080))["counts"] == counts(250)
        assert emulator.calls[0].endpoint == METADATA
        assert "refreshing 250 tokens with method 'batch' costs 3,240 compute units" in task_log()

    def test_even_the_number_of_tokens_is_not_asked_for_beyond_the_limit(self, emulator: AlchemyEmulator) -> None:
        assert isinstance(Tries().failure(refresh(max_compute_units=159)), AlchemySpendingLimitError)

        assert emulator.count() == 0


class TestFailures:
    def test_a_network_without_the_queue_is_refused_for_good(
        self, emulator: AlchemyEmulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connection = json.loads(connection_json(emulator, compute_units_per_second=1_000_000, max_attempts=1))
        monkeypatch.setenv(CONNECTION_VARIABLE, json.dumps({**connection, "host": emulator.url + "/{network}"}))
        emulator.set_collection(ADDRESS, "zora-mainnet", tokens=300)

        refused = Tries().failure(refresh(method="queue", network="zora-mainnet"))

        assert isinstance(refused, AlchemyNetworkError)
        assert isinstance(refused, AirflowFailException)
        assert "Refresh the tokens with getNFTMetadataBatch" in str(refused)

    @pytest.mark.parametrize("token_type", ["NOT_A_CONTRACT", "NO_SUPPORTED_NFT_STANDARD"])
    def test_a_contract_that_is_no_nft_is_refused_with_one_call(
        self, token_type: str, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_collection(ADDRESS, token_type=token_type)

        refused, of_tokens = Tries().failure(refresh()), Tries().failure(refresh(token_ids=[1, 2]))

        assert isinstance(refused, AlchemyNoSuchCollectionError)
        assert isinstance(of_tokens, AlchemyTokensFailedError) or token_type != "NOT_A_CONTRACT"
        assert isinstance(refused, AirflowFailException)
        assert isinstance(of_tokens, AirflowFailException)
        assert (emulator.count(METADATA), emulator.count(BATCH), token_type in str(refused)) == (1, 1, True)

    @pytest.mark.usefixtures("short_intervals")
    def test_too_many_stale_tokens_fail_the_task_after_everything_was_tried(
        self, emulator: AlchemyEmulator, short_intervals: float
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=150)
        emulator.set_tokens(ADDRESS, range(4), stale=True)
        tries = Tries()

        failure = tries.failure(refresh(attempt_interval=short_intervals, max_failed=0.02))

        assert isinstance(failure, AlchemyTokensFailedError)
        assert not isinstance(failure, AirflowFailException)
        assert emulator.asked_tokens(BATCH)[0] == 3
        assert tries.ti.xcoms["return_value"]["counts"] == counts(150, stale=4)

    def test_a_key_that_is_refused_ends_it_at_once(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=5000)
        emulator.add_fault("http", status=401, endpoint=BATCH)

        refused = Tries().failure(refresh())

        assert isinstance(refused, AlchemyAuthenticationError)
        assert emulator.count(BATCH) <= 6

    @pytest.mark.usefixtures("short_intervals")
    def test_a_limit_that_is_reached_on_the_way_keeps_what_was_paid(
        self, emulator: AlchemyEmulator, short_intervals: float
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=150)
        emulator.set_tokens(ADDRESS, range(4), stale_refreshes=1)
        tries = Tries()

        refused = tries.failure(refresh(attempt_interval=short_intervals, max_compute_units=160 + 2 * 1080))

        assert isinstance(refused, AlchemySpendingLimitError)
        assert "146 of 150 tokens are proven fresh, for 2,320 compute units" in str(refused)
        assert "poll_interval" not in str(refused)
        tries.next_try()
        result = tries.lead(refresh(attempt_interval=short_intervals, max_compute_units=3000))
        assert result["counts"] == counts(150)
        assert result["compute_units"] == emulator.compute_units == 160 + 2 * 1080 + 480


class TestTheReport:
    @pytest.mark.usefixtures("short_intervals")
    def test_it_has_every_token_without_proof(
        self, emulator: AlchemyEmulator, short_intervals: float, tmp_path: Path
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=300)
        emulator.set_tokens(ADDRESS, range(150), stale=True)
        path = tmp_path / "reports" / "tokens.jsonl"

        tries = Tries()
        tries.failure(refresh(attempt_interval=short_intervals, report_path=str(path)))

        lines = [json.loads(line) for line in path.read_text().splitlines()]
        assert sorted(int(line["token_id"]) for line in lines) == list(range(150))
        assert {line["state"] for line in lines} == {"stale"}
        assert len(tries.ti.xcoms["return_value"]["failures"]["stale"]["token_ids"]) == 100

    def test_one_that_cannot_be_written_loses_no_result(self, emulator: AlchemyEmulator, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        emulator.set_collection(ADDRESS, tokens=20)
        tries = Tries()

        failure = tries.failure(refresh(report_path=f"{tmp_path}/file/tokens.jsonl"))

        assert "argument 'report_path'" in str(failure)
        assert tries.ti.xcoms["return_value"]["counts"] == counts(20)
        tries.next_try()
        assert tries.lead(refresh(report_path=f"{tmp_path}/tokens.jsonl"))["counts"] == counts(20)
        assert emulator.count(BATCH) == 1


class TestPauses:
    def test_tries_are_ten_seconds_apart_by_default(self, emulator: AlchemyEmulator) -> None:
        emulator.set_collection(ADDRESS, tokens=20)
        emulator.set_tokens(ADDRESS, [1], stale=True)
        tries, task = Tries(), refresh(deferrable=True)
        with pytest.raises(BaseException) as deferral:  # noqa: PT011 - a deferral's base differs between versions
            task.execute(tries.context)

        due_at = datetime.fromisoformat(deferral.value.trigger.serialize()[1]["due_at"])  # type: ignore[attr-defined]
        assert due_at.timestamp() - emulator.calls[-1].at >= 10
        assert deferral.value.kwargs == {}  # type: ignore[attr-defined]

    @pytest.mark.parametrize("deferrable", [False, True])
    @pytest.mark.parametrize("method", ["batch", "queue"])
    def test_no_token_is_tried_earlier_than_the_interval(
        self, method: str, deferrable: bool, emulator: AlchemyEmulator, short_intervals: float
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=20, queue_seconds=0.05)
        emulator.set_tokens(ADDRESS, [1], stale=True)
        tries, interval = Tries(), 4 * short_intervals

        tries.lead(refresh(method=method, deferrable=deferrable, attempt_interval=interval, max_failed=1))

        asked = [call.at for call in emulator.calls if call.endpoint == BATCH and 1 in call.token_ids]
        assert len(asked) == 3
        assert all(later - earlier >= interval for earlier, later in pairwise(asked))
        assert bool(tries.life.deferrals) is deferrable

    @pytest.mark.parametrize("has_store", [True, False])
    def test_a_task_that_is_deferred_gives_the_same_result(
        self, has_store: bool, emulator: AlchemyEmulator, short_intervals: float
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=250)
        emulator.set_tokens(ADDRESS, range(30), stale_refreshes=2)
        tries = Tries()
        if not has_store:
            tries.store = None

        result = tries.lead(refresh(deferrable=True, attempt_interval=short_intervals))

        assert result["counts"] == counts(250)
        assert len(tries.life.deferrals) == 2
        assert emulator.asked_tokens(BATCH)[0] == 3
        assert emulator.asked_tokens(BATCH)[99] in {1, 3}
        assert result["compute_units"] == emulator.compute_units

    def test_a_store_that_is_away_at_the_deferral_loses_nothing(
        self, emulator: AlchemyEmulator, short_intervals: float
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=250)
        emulator.set_tokens(ADDRESS, range(30), stale_refreshes=1)
        tries = Tries()
        assert tries.store is not None
        tries.store.fails_at = frozenset(range(1000))

        result = tries.lead(refresh(deferrable=True, attempt_interval=short_intervals))

        assert (result["counts"], emulator.count(LISTING)) == (counts(250), 3)

    @pytest.mark.parametrize(
        ("pause_seconds", "slow_seconds"), [(60.0, 0.0), (0.05, 0.8)], ids=["deferred", "in a worker after a pause"]
    )
    @pytest.mark.usefixtures("short_intervals")
    def test_the_execution_timeout_ends_it_wherever_it_is(
        self, pause_seconds: float, slow_seconds: float, emulator: AlchemyEmulator
    ) -> None:
        emulator.set_collection(ADDRESS, tokens=20)
        emulator.set_tokens(ADDRESS, [1], stale=True)
        emulator.add_fault("slow", seconds=slow_seconds, endpoint=BATCH)

        failure = Tries().failure(
            refresh(deferrable=True, attempt_interval=pause_seconds, execution_timeout=timedelta(seconds=1.2))
        )

        assert isinstance(failure, AirflowTaskTimeout)
        assert "execution_timeout" in str(failure)
