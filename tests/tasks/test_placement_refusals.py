# SPDX-License-Identifier: Apache-2.0
"""What Airflow cannot do in the triggerer is refused where the DAG is parsed, with what to do instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Asset, task_group

from airflow_provider_alchemy.api.errors import AlchemyArgumentError
from airflow_provider_alchemy.operators.reingest import ReingestContractOperator
from tests.tasks.dag_runs import new_dag
from tests.tasks.placing import BOTH, KINDS, a_callback, a_hook, build, newest

pytestmark = pytest.mark.parametrize("kind", KINDS)


class TestRefusedStarts:
    def refusal(self, kind: Any, **arguments: Any) -> str:
        with new_dag(user_defined_macros={"own_macro": len}, user_defined_filters={"own_filter": len}):
            with pytest.raises(AlchemyArgumentError) as caught:
                build(kind, **{"start_from_trigger": True, **arguments})
            # What is wrong with a mapped task's instance is found when it runs: a retry cannot mend it.
            assert isinstance(caught.value, AirflowFailException)
        return str(caught.value)

    @pytest.mark.parametrize("argument", ["contract_address", "network", "alchemy_conn_id"])
    def test_the_output_of_another_task_is(self, kind: Any, argument: str) -> None:
        with new_dag():
            output: Any = build(ReingestContractOperator, task_id="other").output
            with pytest.raises(AlchemyArgumentError) as caught:
                build(kind, start_from_trigger=True, **{argument: output["contract_address"]})

        assert f"argument '{argument}' is a template or the output of another task" in str(caught.value)

    @pytest.mark.parametrize("argument", ["contract_address", "network", "alchemy_conn_id"])
    @pytest.mark.parametrize("template", ["{{ ti.xcom_pull('other') }}", "{{ params.x }}", "{% set x = 1 %}{{ x }}"])
    def test_a_template_is(self, kind: Any, argument: str, template: str) -> None:
        text = self.refusal(kind, **{argument: template})

        assert f"argument '{argument}' is a template or the output of another task" in text
        assert "leave out start_from_trigger" in text

    def test_a_task_of_a_mapped_group_is(self, kind: Any) -> None:
        @task_group
        def refresh(number: int) -> None:  # noqa: ARG001 - what is mapped does not matter
            build(kind, start_from_trigger=True)

        group = refresh.expand
        with new_dag(), pytest.raises(AlchemyArgumentError, match="Airflow starts no mapped task in the triggerer"):
            group(number=[1, 2])

    def test_a_class_with_an_execute_of_its_own_is(self, kind: Any) -> None:
        class Own(kind):  # type: ignore[misc]
            def execute(self, context: Any) -> Any:
                return super().execute(context)

        assert "execute is called in a worker only" in self.refusal(Own)


class TestAcceptedStarts:
    def test_a_literal_is(self, kind: Any) -> None:
        assert build(kind, start_from_trigger=True).start_from_trigger

    def test_it_makes_the_task_deferrable(self, kind: Any) -> None:
        assert build(kind, start_from_trigger=True, deferrable=False).deferrable

    @pytest.mark.parametrize("arguments", [{"on_execute_callback": a_callback}, {"pre_execute": a_hook}])
    def test_a_hook_before_the_task_is_where_a_worker_ends_it(self, kind: Any, arguments: dict[str, Any]) -> None:
        assert build(kind, start_from_trigger=True, **arguments).start_from_trigger


class TestRefusedEnds:
    pytestmark = newest

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (lambda: {"outlets": [Asset("s3://bucket/collection")]}, "the task has outlets"),
            (lambda: {"post_execute": a_hook}, "post_execute is called in a worker only"),
            (lambda: {"on_success_callback": a_callback}, "on_success_callback is called in a worker only"),
        ],
        ids=["outlets", "post_execute", "on_success_callback"],
    )
    def test_what_only_a_worker_does_is(self, kind: Any, arguments: Callable[[], dict[str, Any]], reason: str) -> None:
        with pytest.raises(AlchemyArgumentError) as caught:
            build(kind, end_from_trigger=True, **arguments())

        assert f"task 'task' cannot have end_from_trigger=True: {reason}" in str(caught.value)
        assert "leave out end_from_trigger" in str(caught.value)

    @pytest.mark.parametrize("method", ["post_execute", "execute_complete"])
    def test_a_class_with_a_method_of_its_own_for_the_end_is(self, kind: Any, method: str) -> None:
        own = type("Own", (kind,), {method: a_hook})

        with pytest.raises(AlchemyArgumentError, match=f"{method} is called in a worker only"):
            build(own, end_from_trigger=True)

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [({"on_execute_callback": a_callback}, "on_execute_callback"), ({"pre_execute": a_hook}, "pre_execute")],
    )
    def test_a_hook_before_a_task_that_has_no_worker_is(self, kind: Any, arguments: dict[str, Any], name: str) -> None:
        with pytest.raises(AlchemyArgumentError, match=f"{name} is called in a worker only, and no worker runs"):
            build(kind, **BOTH, **arguments)

    @pytest.mark.parametrize("arguments", [{"on_execute_callback": a_callback}, {"pre_execute": a_hook}])
    def test_a_hook_before_the_task_is_none_where_a_worker_starts_it(
        self, kind: Any, arguments: dict[str, Any]
    ) -> None:
        assert build(kind, end_from_trigger=True, **arguments).end_from_trigger
