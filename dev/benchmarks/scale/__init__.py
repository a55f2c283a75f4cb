# SPDX-License-Identifier: Apache-2.0
"""Thousands of waits at once in a whole cluster: whether all of them end, how late, and what Airflow needs for it."""
