# SPDX-License-Identifier: Apache-2.0
"""How far watches have read, as it is kept with an asset: nothing is lost, and a changed watch goes on where it was."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_alchemy.chain.watch import AssetCursors, Cursor, slot_of

from .scenes import NETWORK, contract

A, B, C = map(contract, (1, 2, 3))
SLOT = slot_of(NETWORK, ["metadata"], 12)
QUICK = slot_of(NETWORK, ["metadata"], 2)
MINTS = slot_of(NETWORK, ["mint"], 12)
BOTH = slot_of(NETWORK, ["mint", "metadata"], 12)

_CURSORS = st.dictionaries(st.integers(1, 500).map(contract), st.integers(1, 10**9), max_size=30)
_SLOTS = st.sampled_from([slot_of(network, [kind], 12) for network in ("a", "b") for kind in ("metadata", "mint")])


def kept(slots: dict[str, Cursor]) -> AssetCursors:
    """Give what is read of what was kept."""
    cursors = AssetCursors()
    for slot, cursor in slots.items():
        cursors.put(slot, cursor)
    return AssetCursors.from_json(json.loads(json.dumps(cursors.to_json())))


@given(st.dictionaries(_SLOTS, _CURSORS, max_size=4))
def test_every_cursor_comes_back(slots: dict[str, Cursor]) -> None:
    cursors = kept(slots)

    for slot, cursor in slots.items():
        assert cursors.cursor_of(slot, cursor) == cursor


def test_five_thousand_contracts_fit_into_what_airflow_stores_without_a_warning() -> None:
    cursors = kept({SLOT: {contract(number): 20_000_000 for number in range(5_000)}})

    assert len(json.dumps(cursors.to_json())) < 65_535


@given(
    st.recursive(
        st.none() | st.integers() | st.text() | st.booleans(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["slots", SLOT, "5"]) | st.text(), inner),
        max_leaves=8,
    )
)
def test_a_value_that_was_never_written_raises_nothing(value: Any) -> None:
    assert isinstance(AssetCursors.from_json(value).cursor_of(SLOT, [A]), dict)


@pytest.mark.parametrize("block", ["9" * 5_000, "-5", "1.5", "٣", ""])
def test_a_block_that_cannot_be_is_no_cursor(block: str) -> None:
    fingerprints = next(iter(kept({SLOT: {A: 5}}).slots[SLOT].values()))

    assert AssetCursors.from_json({"slots": {SLOT: {block: fingerprints}}}).cursor_of(SLOT, [A]) == {}


@pytest.mark.parametrize(
    ("slots", "asked", "cursor"),
    [
        pytest.param({SLOT: {A: 100}}, SLOT, {A: 100}, id="a new contract has no cursor"),
        pytest.param({SLOT: {A: 100}, QUICK: {A: 110}}, SLOT, {A: 100}, id="each of two watches has its own"),
        pytest.param({SLOT: {A: 100}, QUICK: {A: 110}}, QUICK, {A: 110}, id="and so has the other one"),
        pytest.param({SLOT: {A: 100}}, slot_of("base-mainnet", ["metadata"], 12), {}, id="networks are apart"),
        pytest.param({SLOT: {A: 100}}, slot_of(NETWORK, ["metadata"], 0), {A: 100}, id="other confirmations go on"),
        pytest.param({SLOT: {A: 100}}, MINTS, {A: 100}, id="other events go on"),
        pytest.param({SLOT: {A: 100}}, BOTH, {A: 100}, id="more events go on"),
        pytest.param({SLOT: {A: 100}, QUICK: {B: 90}}, SLOT, {A: 100, B: 90}, id="a contract of another watch goes on"),
        pytest.param({SLOT: {A: 100}, MINTS: {A: 500}}, BOTH, {A: 100}, id="two that were made one leave nothing out"),
        pytest.param(
            {SLOT: {A: 100}, QUICK: {A: 500}},
            slot_of(NETWORK, ["metadata"], 5),
            {A: 500},
            id="of several predecessors the latest counts",
        ),
    ],
)
def test_a_watch_goes_on_where_it_or_its_predecessor_was(slots: dict[str, Cursor], asked: str, cursor: Cursor) -> None:
    assert kept(slots).cursor_of(asked, [A, B, C]) == cursor


def test_a_shorter_list_of_contracts_forgets_none_of_the_others() -> None:
    cursors = kept({SLOT: {A: 100, B: 100}})
    cursors.put(SLOT, {B: 300})

    assert cursors.cursor_of(SLOT, [A, B]) == {A: 100, B: 300}
