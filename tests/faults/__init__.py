# SPDX-License-Identifier: Apache-2.0
"""The fault matrix: what each task and trigger makes of each thing that can go wrong with the service."""
