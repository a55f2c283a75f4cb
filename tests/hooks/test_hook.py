# SPDX-License-Identifier: Apache-2.0
"""The hook's life: one look-up, one session, closed at its end; the same from threads and event loops."""

from __future__ import annotations

import gc
import json
import logging
import warnings
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import redact

from airflow_provider_alchemy.api.errors import AlchemyAuthenticationError, AlchemyError
from airflow_provider_alchemy.api.models import RefreshState, RefreshStatus
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.testing import AlchemyEmulator
from tests.tasks.lives import ADDRESS, LOWER, OTHER_ADDRESS

pytestmark = pytest.mark.integration


class CountingHook(AlchemyHook):
    """A hook that counts how often its connection is read."""

    looked_up = 0

    @classmethod
    def get_connection(cls, conn_id: str) -> Any:
        cls.looked_up += 1
        return super().get_connection(conn_id)

    if hasattr(AlchemyHook, "aget_connection"):  # event loops have a look-up of their own in newer Airflows

        @classmethod
        async def aget_connection(cls, conn_id: str) -> Any:
            cls.looked_up += 1
            return await super().aget_connection(conn_id)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[CountingHook]:
    monkeypatch.setattr(CountingHook, "looked_up", 0)
    return CountingHook


def test_reingest_contract_gives_the_status(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)

    with AlchemyHook() as hook:
        status = hook.reingest_contract(ADDRESS)

    assert status == RefreshStatus(
        contract_address=LOWER, network="eth-mainnet", state=RefreshState.QUEUED, reported_state="queued"
    )


async def test_areingest_contract_gives_the_same_status(emulator: AlchemyEmulator) -> None:
    emulator.set_job(ADDRESS, queued_seconds=600)
    emulator.set_job(OTHER_ADDRESS, queued_seconds=600)

    with AlchemyHook() as hook:
        status = hook.reingest_contract(ADDRESS)
    async with AlchemyHook() as hook:
        twin = await hook.areingest_contract(OTHER_ADDRESS)

    assert (twin.state, twin.network, twin.is_pending) == (status.state, status.network, status.is_pending)


@pytest.mark.usefixtures("emulator")
def test_the_connection_is_read_once(counting: type[CountingHook]) -> None:
    with counting() as hook:
        for _ in range(3):
            hook.reingest_contract(ADDRESS)

    assert counting.looked_up == 1


@pytest.mark.usefixtures("emulator")
async def test_the_connection_is_read_once_in_an_event_loop(counting: type[CountingHook]) -> None:
    async with counting() as hook:
        for _ in range(3):
            await hook.areingest_contract(ADDRESS)

    assert counting.looked_up == 1


def test_making_a_hook_reads_no_connection(counting: type[CountingHook]) -> None:
    counting("nowhere", network="nowhere")

    assert counting.looked_up == 0


def test_one_session_serves_all_calls(emulator: AlchemyEmulator) -> None:
    with AlchemyHook() as hook:
        for _ in range(5):
            hook.reingest_contract(ADDRESS)

    assert (emulator.count(), emulator.connections) == (5, 1)


async def test_one_session_serves_all_calls_of_an_event_loop(emulator: AlchemyEmulator) -> None:
    async with AlchemyHook() as hook:
        for _ in range(5):
            await hook.areingest_contract(ADDRESS)

    assert (emulator.count(), emulator.connections) == (5, 1)


def test_a_closed_hook_can_be_used_again(emulator: AlchemyEmulator) -> None:
    hook = AlchemyHook()
    for _ in range(2):
        with hook:
            hook.reingest_contract(ADDRESS)

    assert (emulator.count(), emulator.connections) == (2, 2)


def resource_warnings(caught: list[warnings.WarningMessage]) -> list[str]:
    return [str(warning.message) for warning in caught if issubclass(warning.category, ResourceWarning)]


class TestWhatItLeavesBehind:
    @pytest.mark.usefixtures("emulator")
    def test_nothing_where_it_was_closed(self) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with AlchemyHook() as hook:
                hook.reingest_contract(ADDRESS)
            del hook
            gc.collect()

        assert resource_warnings(caught) == []

    @pytest.mark.usefixtures("emulator")
    def test_nothing_where_nobody_closed_it(self) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            hook = AlchemyHook()
            hook.reingest_contract(ADDRESS)
            del hook
            gc.collect()

        assert resource_warnings(caught) == []

    def test_nothing_where_a_call_failed(self, emulator: AlchemyEmulator) -> None:
        emulator.rotate_key()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pytest.raises(AlchemyAuthenticationError), AlchemyHook() as hook:
                hook.reingest_contract(ADDRESS)
            gc.collect()

        assert resource_warnings(caught) == []

    @pytest.mark.usefixtures("emulator")
    async def test_nothing_in_an_event_loop(self) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            async with AlchemyHook() as hook:
                await hook.areingest_contract(ADDRESS)
            del hook
            gc.collect()

        assert resource_warnings(caught) == []


class TestSecrets:
    def test_airflow_masks_the_key(self, emulator: AlchemyEmulator) -> None:
        with AlchemyHook() as hook:
            hook.get_conn()

        assert redact(f"the key is {emulator.api_key}") == "the key is ***"

    def test_airflow_masks_the_key_as_it_stands_in_a_url(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW_CONN_ALCHEMY_DEFAULT", '{"conn_type": "alchemy", "password": "slash/and+plus"}')
        with AlchemyHook() as hook:
            hook.get_conn()

        assert redact("/nft/v2/slash%2Fand%2Bplus/reingestContract") == "/nft/v2/***/reingestContract"

    def test_airflow_masks_the_key_without_the_blanks_that_were_typed_with_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fields = '{"conn_type": "alchemy", "password": " blanks-round-it "}'
        monkeypatch.setenv("AIRFLOW_CONN_ALCHEMY_DEFAULT", fields)
        with AlchemyHook() as hook:
            hook.get_conn()

        assert redact("the key is blanks-round-it") == "the key is ***"

    async def test_airflow_masks_the_password_of_a_shared_budget(self, monkeypatch: pytest.MonkeyPatch) -> None:
        url = "redis://:long%2Bpass%2Fword@redis.example.com:6379/0"
        fields = {"conn_type": "alchemy", "password": "a-long-key", "extra": {"shared_budget": url}}
        monkeypatch.setenv("AIRFLOW_CONN_ALCHEMY_DEFAULT", json.dumps(fields))
        with AlchemyHook() as hook:
            hook.get_conn()

        assert redact(f"{url}, long+pass/word, long%2Bpass%2Fword") == "***, ***, ***"

    async def test_it_does_so_in_an_event_loop_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        fields = '{"conn_type": "alchemy", "password": " blanks/in+a+loop "}'
        monkeypatch.setenv("AIRFLOW_CONN_ALCHEMY_DEFAULT", fields)
        async with AlchemyHook() as hook:
            await hook.aget_conn()

        assert redact("it is blanks/in+a+loop, in a URL blanks%2Fin%2Ba%2Bloop") == "it is ***, in a URL ***"

    async def test_airflow_masks_the_key_in_an_event_loop_too(self, emulator: AlchemyEmulator) -> None:
        async with AlchemyHook() as hook:
            await hook.aget_conn()

        assert redact(f"the key is {emulator.api_key}") == "the key is ***"

    async def test_the_key_is_in_no_repr(self, emulator: AlchemyEmulator) -> None:
        async with AlchemyHook() as hook:
            client, twin = hook.get_conn(), await hook.aget_conn()
            shown = [repr(value) for value in (hook, client, twin, client.settings, vars(hook), vars(client))]
            hook.close()

        assert emulator.api_key not in "".join(shown)

    @pytest.mark.parametrize("kind", ["http", "reset", "cut", "cut_json", "error_object", "redirect"])
    async def test_the_key_is_in_no_error_and_no_cause(self, kind: str, emulator: AlchemyEmulator) -> None:
        emulator.add_fault(kind)
        async with AlchemyHook() as hook:
            errors = [_error_of(hook)]
            try:
                await hook.areingest_contract(ADDRESS)
            except Exception as error:  # noqa: BLE001 - whatever comes is looked at
                errors.append(error)

        assert len(errors) == 2
        assert emulator.api_key not in "".join(_everything_in(error) for error in errors)

    def test_the_key_is_in_no_log(self, emulator: AlchemyEmulator, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        with AlchemyHook() as hook:
            hook.reingest_contract(ADDRESS)

        assert emulator.api_key not in caplog.text


def _error_of(hook: AlchemyHook) -> BaseException:
    with pytest.raises(AlchemyError) as caught, hook:
        hook.reingest_contract(ADDRESS)
    return caught.value


def _everything_in(error: BaseException | None) -> str:
    if error is None:
        return ""
    return f"{error!r} {error} {error.args} {vars(error)}" + _everything_in(error.__cause__ or error.__context__)
