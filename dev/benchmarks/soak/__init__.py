# SPDX-License-Identifier: Apache-2.0
"""
A soak: a cluster under a steady stream of waits and failures, and what grows in it.

It exists because a leak shows in hours and not in a test: ``make soak`` lets a whole cluster work for half an hour, and
CI for two minutes (``soaking.soak``). Nothing is imported here: processes that are measured import parts of it.
"""
