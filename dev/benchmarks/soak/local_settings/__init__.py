# SPDX-License-Identifier: Apache-2.0
"""A folder that stands on the path of Airflow's processes during a soak: Airflow imports its module by its own name."""
