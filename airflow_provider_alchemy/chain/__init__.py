# SPDX-License-Identifier: Apache-2.0
"""The engine of the watcher: what contracts announce on the chain, read for all watches of a network together."""
