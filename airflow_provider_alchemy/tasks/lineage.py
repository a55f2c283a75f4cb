# SPDX-License-Identifier: Apache-2.0
"""
What OpenLineage is told of a task: which collections it has refreshed, or looked at.

OpenLineage asks in the process in which the task has ended, which after a deferral has not begun it: the answer is
taken from the result that this process returned.
"""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_alchemy.assets.lineage import dataset_of
from airflow_provider_alchemy.tasks.outlets import OutletTask


class CollectionTask(OutletTask):
    """A task about collections: what it returns goes to its outlets (``deliver``) and to OpenLineage."""

    only_looks: ClassVar[bool] = False
    """Whether the collections are what the task reads, as for a sensor, and not what it changes."""

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - OpenLineage's own signature
        """
        Tell OpenLineage which collections the task has refreshed (outputs) or, for a sensor, looked at (inputs).

        :param task_instance: The task instance that has ended.
        :return: OpenLineage's ``OperatorLineage``, without datasets where the task has not ended well in this process:
            OpenLineage then takes the task's own inlets and outlets. None where OpenLineage is not installed.
        """
        try:
            from airflow.providers.openlineage.extractors import OperatorLineage  # noqa: PLC0415 - no dependency
        except ImportError:
            return None
        datasets = [dataset_of(known) for known in self.told_collections()]
        return OperatorLineage(inputs=datasets) if self.only_looks else OperatorLineage(outputs=datasets)
