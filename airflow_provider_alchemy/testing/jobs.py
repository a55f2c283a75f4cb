# SPDX-License-Identifier: Apache-2.0
"""Refresh jobs as pure functions of time: what a collection's job reports when it is asked at a given moment.

Nothing runs in the background: a job's state follows from the moment of its submission, what was reported since, the
plan and the clock. So the tests of the states need no waiting, and any number of jobs costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from airflow_provider_alchemy.testing.checks import Count, Seconds, checked_dataclass
from airflow_provider_alchemy.testing.settings import ProgressForm, Settings

QUEUED = "queued"


class Outcome(StrEnum):
    """How a job ends."""

    FINISHED = "finished"
    DOES_NOT_EXIST = "does_not_exist"
    QUEUE_FAILED = "queue_failed"


@checked_dataclass
class JobPlan:
    """What the refresh of one collection will do once it is submitted.

    :param queued_seconds: seconds in the queue; default 0.
    :param running_seconds: seconds in progress, from 0 to 100 percent; default 1.
    :param outcome: ``finished`` (default); ``does_not_exist``, answered at once; or ``queue_failed``, answered when
        the time in the queue is over (at once when that is 0).
    :param queue_failures: how many submissions are refused with ``queue_failed`` before one is taken; default 0.
    :param queued_state: another text to report while the job is queued, such as a state that no document names.
    :param running_state: another text to report while the job is in progress.
    """

    queued_seconds: Seconds = 0.0
    running_seconds: Seconds = 1.0
    outcome: Annotated[Outcome, Field(strict=False)] = Outcome.FINISHED
    queue_failures: Count = 0
    queued_state: str | None = None
    running_state: str | None = None


@dataclass(frozen=True)
class Job:
    """A submitted refresh: its attempts so far, and the final outcome once it was reported."""

    submitted_at: float
    submissions: int = 1
    ended_with: Outcome | None = None


@dataclass(frozen=True)
class Report:
    """What one call learns; the progress is in percent."""

    state: str
    progress: int | None = None


def _is_refused(plan: JobPlan, job: Job) -> bool:
    return plan.outcome is Outcome.DOES_NOT_EXIST or job.submissions <= plan.queue_failures


def ends_at(plan: JobPlan, job: Job) -> float:
    if _is_refused(plan, job):
        return job.submitted_at
    running = plan.running_seconds if plan.outcome is Outcome.FINISHED else 0.0
    return job.submitted_at + plan.queued_seconds + running


def report_at(plan: JobPlan, job: Job, now: float) -> Report:
    """Give a job's state as its first call would report it; progress grows evenly and is 100 when finished only."""
    if now >= ends_at(plan, job):
        is_failure = _is_refused(plan, job) and plan.outcome is not Outcome.DOES_NOT_EXIST
        outcome = Outcome.QUEUE_FAILED if is_failure else plan.outcome
        return Report(outcome.value, 100 if outcome is Outcome.FINISHED else None)
    running_for = now - job.submitted_at - plan.queued_seconds
    if running_for < 0:
        return Report(plan.queued_state or QUEUED)
    return Report(plan.running_state or "in_progress", int(100 * running_for / plan.running_seconds))


def ask(plan: JobPlan, job: Job | None, now: float, settings: Settings) -> tuple[Job, Report]:
    """Do what one call of ``reingestContract`` does: submit, join or report.

    A new attempt starts when there is no job, when ``queue_failed`` was reported, or, with ``restart``, when
    ``finished`` was reported. A job that ended unseen is reported first: else no client would see it finish.
    """
    restarts = settings.after_finished == "restart"
    is_new = job is None
    if job is None:
        job = Job(submitted_at=now)
    elif job.ended_with is Outcome.QUEUE_FAILED or (job.ended_with is Outcome.FINISHED and restarts):
        is_new, job = True, Job(submitted_at=now, submissions=job.submissions + 1)
    report = report_at(plan, job, now)
    if report.state == QUEUED and not is_new:
        return job, Report(settings.repeated_state)
    return (replace(job, ended_with=Outcome(report.state)) if now >= ends_at(plan, job) else job), report


def render_progress(progress: int | None, form: ProgressForm) -> str | int | None:
    if form == "empty":
        return ""
    if progress is None or form == "null":
        return None
    if form == "int":
        return progress
    return f"{progress}%" if form == "percent" else str(progress)


class Jobs:
    """The plans and the jobs of every collection, by network and lower-case contract address."""

    def __init__(self, default_plan: JobPlan) -> None:
        self.default_plan = default_plan
        self.plans: dict[tuple[str, str], JobPlan] = {}
        self._jobs: dict[tuple[str, str], Job] = {}

    def ask(self, network: str, address: str, now: float, settings: Settings, *, is_dry: bool = False) -> Report:
        place = (network, address)
        job, report = ask(self._plan(place, settings), self._jobs.get(place), now, settings)
        if not is_dry:
            self._jobs[place] = job
        return report

    def finished_at(self, network: str, address: str, settings: Settings) -> float | None:
        job = self._jobs.get((network, address))
        return None if job is None else ends_at(self._plan((network, address), settings), job)

    def _plan(self, place: tuple[str, str], settings: Settings) -> JobPlan:
        plan, speed = self.plans.get(place, self.default_plan), settings.speed
        if speed == 1.0:
            return plan
        return replace(plan, queued_seconds=plan.queued_seconds / speed, running_seconds=plan.running_seconds / speed)
