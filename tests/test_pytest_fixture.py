# SPDX-License-Identifier: Apache-2.0
"""The pytest fixture as a user has it: one argument, in a project that knows nothing of this one."""

from __future__ import annotations

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.dag_run]


def test_a_users_test_runs_a_hook_call_against_the_emulator(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        from airflow_provider_alchemy.hooks.alchemy import AlchemyHook

        ADDRESS = "0xE9FCa552b9eb110c2d170962aF740725F71F5644"

        def test_refresh(alchemy_emulator):
            alchemy_emulator.set_job(ADDRESS, queued_seconds=60)

            with AlchemyHook() as hook:
                status = hook.reingest_contract(ADDRESS)

            assert status.state == "queued"
            assert alchemy_emulator.count("reingestContract", ADDRESS) == 1
        """
    )

    pytester.runpytest_subprocess("-p", "no:xdist").assert_outcomes(passed=1)


def test_the_connection_is_gone_after_the_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import os

        def test_with(alchemy_emulator):
            assert "AIRFLOW_CONN_ALCHEMY_DEFAULT" in os.environ

        def test_without():
            assert "AIRFLOW_CONN_ALCHEMY_DEFAULT" not in os.environ
        """
    )

    pytester.runpytest_subprocess("-p", "no:xdist").assert_outcomes(passed=2)


def test_a_test_without_it_loads_no_server_and_no_airflow(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_nothing():
            heavy = {"airflow", "aiohttp", "requests", "airflow_provider_alchemy.testing.server"}
            assert not heavy & set(sys.modules)
        """
    )

    pytester.runpytest_subprocess("-p", "no:xdist").assert_outcomes(passed=1)
