# SPDX-License-Identifier: Apache-2.0
"""The package on a whole cluster, whose parts are killed while it waits."""
