# SPDX-License-Identifier: Apache-2.0
"""The places that are kept with an asset: nothing is lost on the way, and a changed watch goes on where it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.api.chain_cursor import Cursor, slot_of

from .chain import NETWORK, contract

SLOT = slot_of(NETWORK, ["metadata"], 12)
A, B, C = map(contract, (1, 2, 3))

_CONTRACTS = st.integers(1, 500).map(contract)
_PLACES = st.dictionaries(_CONTRACTS, st.integers(1, 10**9), max_size=30)
_SLOTS = st.sampled_from([slot_of(network, [kind], 12) for network in ("a", "b") for kind in ("metadata", "mint")])


def through_json(cursor: Cursor) -> Cursor:
    return Cursor.read(json.loads(json.dumps(cursor.to_json())))


def cursor_of(slots: dict[str, dict[str, int]]) -> Cursor:
    cursor = Cursor()
    for slot, places in slots.items():
        cursor.put(slot, places)
    return cursor


class TestTheWayThroughTheStore:
    @given(st.dictionaries(_SLOTS, _PLACES, max_size=4))
    def test_every_place_comes_back(self, slots: dict[str, dict[str, int]]) -> None:
        cursor = through_json(cursor_of(slots))

        for slot, places in slots.items():
            assert cursor.places_of(slot, places) == places

    def test_five_thousand_contracts_fit_into_what_airflow_stores_without_a_warning(self) -> None:
        cursor = cursor_of({SLOT: {contract(number): 20_000_000 for number in range(5_000)}})
        assert len(json.dumps(cursor.to_json())) < 65_535

    @given(
        st.recursive(
            st.none() | st.integers() | st.text() | st.booleans(),
            lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["slots", SLOT, "5"]) | st.text(), inner),
            max_leaves=8,
        )
    )
    def test_what_was_never_written_is_no_place(self, value: Any) -> None:
        assert isinstance(Cursor.read(value).places_of(SLOT, [A]), dict)

    @pytest.mark.parametrize("block", ["9" * 5_000, "-5", "1.5", "٣", ""])
    def test_a_block_that_cannot_be_is_no_place(self, block: str) -> None:
        assert Cursor.read({"slots": {SLOT: {block: "0b035a6e"}}}).slots == {SLOT: {}}


class TestTwoWatchesOfAnAsset:
    def test_each_keeps_its_own_place(self) -> None:
        other = slot_of(NETWORK, ["metadata"], 2)
        cursor = cursor_of({SLOT: {A: 100}, other: {A: 110}})

        assert cursor.places_of(SLOT, [A]) == {A: 100}
        assert cursor.places_of(other, [A]) == {A: 110}

    def test_two_of_the_same_kind_with_other_contracts_do_not_disturb_each_other(self) -> None:
        cursor = cursor_of({SLOT: {A: 100}})
        cursor.put(SLOT, {B: 300})

        assert cursor.places_of(SLOT, [A, B]) == {A: 100, B: 300}

    def test_networks_know_nothing_of_each_other(self) -> None:
        assert cursor_of({SLOT: {A: 100}}).places_of(slot_of("base-mainnet", ["metadata"], 12), [A]) == {}


class TestAWatchThatWasChanged:
    def test_a_new_contract_has_no_place(self) -> None:
        assert cursor_of({SLOT: {A: 100}}).places_of(SLOT, [A, B]) == {A: 100}

    @pytest.mark.parametrize("confirmations", [0, 2, 100])
    def test_other_confirmations_go_on_where_it_was(self, confirmations: int) -> None:
        changed = slot_of(NETWORK, ["metadata"], confirmations)
        assert cursor_of({SLOT: {A: 100}}).places_of(changed, [A]) == {A: 100}

    @pytest.mark.parametrize("kinds", [["metadata", "mint"], ["mint"]])
    def test_other_events_go_on_where_it_was(self, kinds: list[str]) -> None:
        assert cursor_of({SLOT: {A: 100}}).places_of(slot_of(NETWORK, kinds, 12), [A]) == {A: 100}

    def test_a_contract_that_another_watch_had_goes_on_where_that_was(self) -> None:
        cursor = cursor_of({SLOT: {A: 100}, slot_of(NETWORK, ["metadata"], 2): {B: 90}})
        assert cursor.places_of(SLOT, [A, B]) == {A: 100, B: 90}

    def test_two_that_were_made_one_leave_nothing_out(self) -> None:
        cursor = cursor_of({SLOT: {A: 100}, slot_of(NETWORK, ["mint"], 12): {A: 500}})
        assert cursor.places_of(slot_of(NETWORK, ["mint", "metadata"], 12), [A]) == {A: 100}

    def test_of_several_predecessors_the_latest_counts(self) -> None:
        cursor = cursor_of({SLOT: {A: 100}, slot_of(NETWORK, ["metadata"], 2): {A: 500}})
        assert cursor.places_of(slot_of(NETWORK, ["metadata"], 5), [A]) == {A: 500}

    def test_the_order_of_the_events_is_no_change(self) -> None:
        assert slot_of(NETWORK, ["mint", "metadata"], 1) == slot_of(NETWORK, ["metadata", "mint"], 1)
