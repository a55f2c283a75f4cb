# SPDX-License-Identifier: Apache-2.0
"""The one exception of this package, apart so that every module may raise it without import cycles."""

from __future__ import annotations


class LocalAirflowError(RuntimeError):
    """The local Airflow could not do what was asked; the message is a sentence that says why."""
