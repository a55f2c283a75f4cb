# SPDX-License-Identifier: Apache-2.0
"""``make cluster``, as somebody types it."""
