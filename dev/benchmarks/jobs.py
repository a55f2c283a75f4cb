# SPDX-License-Identifier: Apache-2.0
"""What all sides wait for: jobs that begin with the first question about them, and end after some seconds."""

from __future__ import annotations


class JobClock:
    """
    All jobs of one run.

    :param seconds: How long each one takes.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._begun: dict[str, float] = {}

    def share_done(self, name: str, now: float) -> float:
        """
        Answer a question about a job, which begins with the first one.

        :param name: The job.
        :param now: Monotonic time in seconds.
        :return: How much of it is done, from 0 to 1.
        """
        elapsed = now - self._begun.setdefault(name, now)
        return 1.0 if elapsed >= self.seconds else elapsed / self.seconds
