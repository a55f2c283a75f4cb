# SPDX-License-Identifier: Apache-2.0
"""The buttons that the web UI shows at a task."""
