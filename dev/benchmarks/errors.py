# SPDX-License-Identifier: Apache-2.0
"""The one exception of this package, apart so that every module may raise it without import cycles."""

from __future__ import annotations


class BenchmarkError(RuntimeError):
    """A benchmark could not be run to its end; the message is a sentence that says why."""
