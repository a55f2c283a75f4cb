# SPDX-License-Identifier: Apache-2.0
"""What each released version left in Airflow's database, and the proof that today's code goes on with it."""
