# SPDX-License-Identifier: Apache-2.0
"""What goes through Airflow's database keeps its form from the first release on: deferred tasks outlive upgrades."""
