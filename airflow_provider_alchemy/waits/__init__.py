# SPDX-License-Identifier: Apache-2.0
"""What to ask next and what an answer means, for everything that is waited for. No Airflow here."""
