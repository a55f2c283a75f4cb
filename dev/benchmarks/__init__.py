# SPDX-License-Identifier: Apache-2.0
"""What the provider costs, measured: modules with a ``main`` are commands, ``python -m dev.benchmarks`` runs all."""
