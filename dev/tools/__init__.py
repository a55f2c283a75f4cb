# SPDX-License-Identifier: Apache-2.0
"""The project's own tools: how its environments are made, and whether its dependencies have known weaknesses."""
