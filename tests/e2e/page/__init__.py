# SPDX-License-Identifier: Apache-2.0
"""The page *Alchemy* of Airflow's web UI, in a browser, on a real Airflow."""
