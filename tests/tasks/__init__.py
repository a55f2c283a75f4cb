# SPDX-License-Identifier: Apache-2.0
"""Tests of what operator and sensor share, and the helpers that run tasks."""
