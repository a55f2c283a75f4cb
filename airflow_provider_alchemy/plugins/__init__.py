# SPDX-License-Identifier: Apache-2.0
"""What Airflow's own web UI shows of collections."""
