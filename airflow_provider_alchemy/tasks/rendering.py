# SPDX-License-Identifier: Apache-2.0
"""What Jinja is asked to render: templates, and nothing else."""

from __future__ import annotations

from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_alchemy.tasks.arguments import is_template


class PlainTextTask(BaseOperator):
    """A task whose texts without a template in them stay what they are."""

    def render_template(
        self, content: Any, context: Any, jinja_env: Any = None, seen_oids: set[int] | None = None
    ) -> Any:
        """
        Render a template, and leave everything else as it is.

        Jinja makes a number of an address in a DAG with ``render_template_as_native_obj``, and takes seconds for ten
        thousand of them in each worker.
        """
        if isinstance(content, str) and not is_template(content):
            return content
        return super().render_template(content, context, jinja_env, seen_oids)
