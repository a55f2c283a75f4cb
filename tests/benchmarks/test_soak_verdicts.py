# SPDX-License-Identifier: Apache-2.0
"""From the samples of a soak to its verdicts."""

from __future__ import annotations

from dataclasses import replace

from dev.benchmarks.soak.flatness import Measure, State
from dev.benchmarks.soak.sampling import Sample
from dev.benchmarks.soak.verdicts import LOGS, STREAM, Series, series_of, steady_processes, verdicts_of
from tests.benchmarks.soak_samples import (
    MIB,
    RUNNER,
    SCHEDULER,
    SUPERVISOR,
    TRIGGERER,
    leaking,
    result_of,
    samples_of,
)


def series(samples: list[Sample], component: str, measure: Measure) -> Series | None:
    made = series_of(samples, [TRIGGERER], turn_seconds=30, waits=12)
    found = [one for one in made if (one.component, one.measure) == (component, measure)]
    return found[0] if found else None


def values(samples: list[Sample], component: str, measure: Measure) -> set[float]:
    found = series(samples, component, measure)
    assert found is not None
    return {value for _, value in found.values}


def test_a_component_is_all_its_processes_together() -> None:
    samples = samples_of(2)

    assert values(samples, TRIGGERER, Measure.MEMORY) == {350 * MIB}
    assert values(samples, TRIGGERER, Measure.OPEN_FILES) == {22}
    assert values(samples, TRIGGERER, Measure.SOCKETS) == {10}
    assert values(samples, TRIGGERER, Measure.THREADS) == {5}


def test_tasks_are_those_of_the_processes_that_count_them() -> None:
    samples = samples_of(2)

    assert values(samples, TRIGGERER, Measure.TASKS) == {9}
    assert series(samples, SCHEDULER, Measure.TASKS) is None


def test_a_process_that_lives_for_a_second_only_adds_to_the_processes() -> None:
    samples = samples_of(2)
    visited = samples[10]
    samples[10] = replace(
        visited, readings={**visited.readings, TRIGGERER: {**visited.readings[TRIGGERER], "55/9": SUPERVISOR}}
    )

    assert values(samples, TRIGGERER, Measure.MEMORY) == {350 * MIB}
    assert values(samples, TRIGGERER, Measure.PROCESSES) == {2, 3}


def test_a_sample_that_could_not_be_read_whole_is_left_out() -> None:
    samples = samples_of(2)
    torn = samples[10]
    samples[10] = replace(
        torn, readings={**torn.readings, TRIGGERER: {"7/1": SUPERVISOR, "8/2": replace(RUNNER, tasks=None)}}
    )

    tasks = series(samples, TRIGGERER, Measure.TASKS)
    assert tasks is not None
    assert len(tasks.values) == len(samples) - 1
    assert {value for _, value in tasks.values} == {9}


def test_a_process_that_was_replaced_is_not_steady() -> None:
    samples = samples_of(2)
    last = samples[-1]
    samples[-1] = replace(last, readings={**last.readings, TRIGGERER: {"7/1": SUPERVISOR, "99/4": RUNNER}})

    assert steady_processes(TRIGGERER, samples) == {"7/1"}
    assert values(samples, TRIGGERER, Measure.MEMORY) == {200 * MIB}


def test_the_logs_are_those_of_tasks_and_of_what_is_judged() -> None:
    logs = series(samples_of(2), LOGS, Measure.LOG)

    assert logs is not None
    assert logs.values[-1] == (120.0, 1_100 * 120)


def test_what_counts_are_the_floors_of_the_processes_and_not_the_floor_of_their_sum() -> None:
    def busy_in_turn(sample: Sample) -> Sample:
        # The tasks go to one of them and then to the other.
        one, other = (5, 0) if int(sample.at / 3) % 2 else (0, 5)
        supervisor = replace(SUPERVISOR, open_files=10 + one)
        runner = replace(RUNNER, open_files=12 + other)
        return replace(sample, readings={**sample.readings, TRIGGERER: {"7/1": supervisor, "8/2": runner}})

    files = series(samples_of(3, busy_in_turn), TRIGGERER, Measure.OPEN_FILES)

    assert files is not None
    assert {value for _, value in files.values} == {27}
    assert {value for _, value in files.counted} == {22}


def test_waits_that_move_from_one_triggerer_to_the_other_are_no_leak() -> None:
    def moving(sample: Sample) -> Sample:
        here = {"8/2": replace(RUNNER, open_files=12 + int(sample.at / 30))}
        there = {"18/2": replace(RUNNER, open_files=112 - int(sample.at / 30))}
        return replace(
            sample,
            outputs={**sample.outputs, "triggerer-2": 0},
            readings={**sample.readings, TRIGGERER: here, "triggerer-2": there},
        )

    made = series_of(samples_of(30, moving), [TRIGGERER, "triggerer-2"], turn_seconds=30, waits=12)
    verdicts = {
        (one.component, one.flatness.state)
        for one in verdicts_of(made, [TRIGGERER, "triggerer-2"])
        if one.measure is Measure.OPEN_FILES and "triggerer" in one.component
    }

    assert verdicts == {
        ("all triggerers", State.FLAT),
        (TRIGGERER, State.NOT_JUDGED),
        ("triggerer-2", State.NOT_JUDGED),
    }


def test_the_logs_of_a_wait_take_five_turns_to_tell() -> None:
    short, long = series(samples_of(3), LOGS, Measure.LOG), series(samples_of(5), LOGS, Measure.LOG)

    assert short is not None
    assert short.counted == []
    assert long is not None
    assert {round(value, -2) for _, value in long.counted} == {2_800}


def test_a_component_without_a_steady_process_has_no_series() -> None:
    samples = samples_of(2)
    last = samples[-1]
    samples[-1] = replace(last, readings={**last.readings, SCHEDULER: {}})

    assert series(samples, SCHEDULER, Measure.MEMORY) is None
    assert series(samples, SCHEDULER, Measure.PROCESSES) is None


def test_the_waits_under_way_are_shown_and_not_judged() -> None:
    (verdict,) = [one for one in result_of(samples_of(2)).verdicts if one.component == STREAM]

    assert verdict.measure is Measure.WAITS
    assert verdict.flatness.state is State.NOT_JUDGED


def test_a_steady_cluster_has_no_complaints() -> None:
    result = result_of(samples_of(30), minutes=30)

    assert result.complaints == []
    assert {one.flatness.state for one in result.verdicts if one.component == "all triggerers"} == {State.FLAT}


def test_a_leak_is_a_sentence_that_says_where() -> None:
    result = result_of(samples_of(30, leaking(TRIGGERER)), minutes=30)

    (sentence,) = result.complaints
    assert sentence.startswith("all triggerers: open files went from ")
    assert sentence.endswith(" % a minute, which is more than 1.")


def test_a_leak_in_what_is_not_judged_is_only_shown() -> None:
    result = result_of(samples_of(30, leaking(SCHEDULER)), minutes=30)

    assert result.complaints == []
    (verdict,) = [one for one in result.verdicts if (one.component, one.measure) == (SCHEDULER, Measure.OPEN_FILES)]
    assert verdict.flatness.percent > 1
    assert not verdict.is_judged


def test_a_wait_that_ended_wrongly_is_a_complaint() -> None:
    assert result_of(samples_of(2), ["soak_sensor: it hangs."]).complaints == ["soak_sensor: it hangs."]
