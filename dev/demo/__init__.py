# SPDX-License-Identifier: Apache-2.0
"""``make demo``: the first example DAG on a real Airflow, watched from the terminal."""
