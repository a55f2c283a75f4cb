# SPDX-License-Identifier: Apache-2.0
"""Refresh jobs as pure functions of time: what a collection's job says when it is asked at a given moment.

Nothing runs in the background. A job is the moment of its submission and what was reported since; its state
follows from the plan and the clock. So the tests of the states need no waiting, and the emulator carries
any number of jobs for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from airflow_provider_alchemy.testing import checks
from airflow_provider_alchemy.testing.settings import AfterFinished, ProgressForm, Settings

COMPLETE = 100
QUEUED = "queued"
IN_PROGRESS = "in_progress"


class Outcome(StrEnum):
    """How a job ends."""

    FINISHED = "finished"
    DOES_NOT_EXIST = "does_not_exist"
    QUEUE_FAILED = "queue_failed"


_CHECKS: dict[str, checks.Check] = {
    "queued_seconds": checks.number(),
    "running_seconds": checks.number(),
    "outcome": checks.member(Outcome),
    "queue_failures": checks.whole(),
    "queued_state": checks.optional(checks.text),
    "running_state": checks.optional(checks.text),
}


@dataclass(frozen=True, kw_only=True)
class JobPlan:
    """What the refresh of one collection will do once it is submitted.

    :param queued_seconds: seconds in the queue; default 0, because most tests are about what comes after.
    :param running_seconds: seconds in progress, from 0 to 100 percent; default 1, short enough for a test
        and long enough to be seen.
    :param outcome: ``finished`` (default); ``does_not_exist``, answered at once; or ``queue_failed``,
        answered when the time in the queue is over (at once when that is 0).
    :param queue_failures: how many submissions are refused at once with ``queue_failed`` before one is
        taken; default 0.
    :param queued_state: another text to report while the job is queued, such as a state that no document
        names.
    :param running_state: another text to report while the job is in progress.
    :raises ValueError: a value that is not accepted; the message names the field.
    """

    queued_seconds: float = 0.0
    running_seconds: float = 1.0
    outcome: Outcome = Outcome.FINISHED
    queue_failures: int = 0
    queued_state: str | None = None
    running_state: str | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        checks.apply_checks(self, _CHECKS)

    @classmethod
    def from_fields(cls, fields: dict[str, Any]) -> JobPlan:
        """Build a plan from field names and values, refusing unknown names with a ``ValueError``."""
        checks.refuse_unknown(cls, fields)
        return cls(**fields)

    def at_speed(self, speed: float) -> JobPlan:
        """Give this plan with its seconds divided by ``speed``."""
        return replace(self, queued_seconds=self.queued_seconds / speed, running_seconds=self.running_seconds / speed)


@dataclass(frozen=True)
class Job:
    """A submitted refresh.

    :param submitted_at: when the running attempt was submitted, in seconds since the epoch.
    :param submissions: how many attempts there were, with this one.
    :param calls: how many calls asked for this attempt, with its submission.
    :param ended_with: the final outcome that was reported, None while none was.
    """

    submitted_at: float
    submissions: int = 1
    calls: int = 1
    ended_with: Outcome | None = None


@dataclass(frozen=True)
class Report:
    """What one call learns: the state's text and the progress in percent, None where there is none."""

    state: str
    progress: int | None = None


def is_refused(plan: JobPlan, job: Job) -> bool:
    """Tell whether this attempt never got into the queue."""
    return plan.outcome is Outcome.DOES_NOT_EXIST or job.submissions <= plan.queue_failures


def ends_at(plan: JobPlan, job: Job) -> float:
    """Give the moment, in seconds since the epoch, at which the job's outcome was or will be reached."""
    if is_refused(plan, job):
        return job.submitted_at
    running = plan.running_seconds if plan.outcome is Outcome.FINISHED else 0.0
    return job.submitted_at + plan.queued_seconds + running


def look(plan: JobPlan, job: Job, now: float) -> Report:
    """Give a job's state at a moment, as its first call would report it.

    :param plan: what the job does.
    :param job: the job.
    :param now: seconds since the epoch.
    :return: the state and the progress; linear from 0 to below 100 while in progress, 100 when finished.
    """
    if now >= ends_at(plan, job):
        refused = is_refused(plan, job) and plan.outcome is not Outcome.DOES_NOT_EXIST
        outcome = Outcome.QUEUE_FAILED if refused else plan.outcome
        return Report(outcome.value, COMPLETE if outcome is Outcome.FINISHED else None)
    running_for = now - job.submitted_at - plan.queued_seconds
    if running_for < 0:
        return Report(plan.queued_state or QUEUED)
    return Report(plan.running_state or IN_PROGRESS, int(COMPLETE * running_for / plan.running_seconds))


def ask(plan: JobPlan, job: Job | None, now: float, settings: Settings) -> tuple[Job, Report]:
    """Do what one call of ``reingestContract`` does: submit, join or report.

    A new attempt starts when there is no job, when ``queue_failed`` was reported, or, where the settings
    say so, when ``finished`` was reported. A job that ended unseen is reported first: else no client would
    ever see it finish.

    :param plan: what the collection's job does.
    :param job: the job so far, None before the first call.
    :param now: seconds since the epoch.
    :param settings: the spelling of repeated answers, and what happens after the end.
    :return: the job after the call, and what the call learns.
    """
    if job is None:
        job = Job(submitted_at=now)
    elif job.ended_with is Outcome.QUEUE_FAILED or (
        job.ended_with is Outcome.FINISHED and settings.after_finished is AfterFinished.RESTART
    ):
        job = Job(submitted_at=now, submissions=job.submissions + 1)
    else:
        job = replace(job, calls=job.calls + 1)
    report = look(plan, job, now)
    if report.state == QUEUED and job.calls > 1:
        return job, Report(settings.repeated_state.value)
    if now >= ends_at(plan, job):
        job = replace(job, ended_with=Outcome(report.state))
    return job, report


def render_progress(progress: int | None, form: ProgressForm) -> str | int | None:
    """Write the progress as the service would, in one of the forms that clients have seen.

    :param progress: percent, None where there is none.
    :param form: the form.
    :return: the value of the answer's ``progress``.
    """
    if form is ProgressForm.EMPTY:
        return ""
    if progress is None or form is ProgressForm.NULL:
        return None
    if form is ProgressForm.INT:
        return progress
    return f"{progress}%" if form is ProgressForm.PERCENT else str(progress)


class JobBoard:
    """The plans and the jobs of every collection, by network and lower-case contract address.

    :param default_plan: what a collection without a plan of its own does.
    """

    def __init__(self, default_plan: JobPlan) -> None:
        self.default_plan = default_plan
        self.plans: dict[tuple[str, str], JobPlan] = {}
        self._jobs: dict[tuple[str, str], Job] = {}

    def ask(self, network: str, contract_address: str, now: float, settings: Settings) -> Report:
        """Make one call for a collection's job and give what it learns."""
        place = (network, contract_address.lower())
        self._jobs[place], report = ask(self._plan(place, settings), self._jobs.get(place), now, settings)
        return report

    def finished_at(self, network: str, contract_address: str, settings: Settings) -> float | None:
        """Give the moment at which the collection's job ends, None if it was never submitted."""
        place = (network, contract_address.lower())
        job = self._jobs.get(place)
        return None if job is None else ends_at(self._plan(place, settings), job)

    def _plan(self, place: tuple[str, str], settings: Settings) -> JobPlan:
        return self.plans.get(place, self.default_plan).at_speed(settings.speed)
