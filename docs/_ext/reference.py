# SPDX-License-Identifier: Apache-2.0
"""
The directives of the reference: what the package's own code says of its classes, its connection and its settings.

``{task} PATH.CLASS`` writes a class's purpose, import, arguments, XCom and errors from its docstring and signature;
``{connection}`` the connection's fields from the form's table; ``{configuration}`` the settings from
``get_provider_info``; ``{errors}`` each error with its advice.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from airflow_provider_alchemy.api import errors
from airflow_provider_alchemy.connection_form import EXTRA_FIELDS
from airflow_provider_alchemy.get_provider_info import get_provider_info

DEFAULT_DEFERRABLE = "`[operators] default_deferrable`, else `False`"
_FIELD = re.compile(r"^:(param|return|raises)\s*([^:]*):\s*", re.MULTILINE)


class Generated(SphinxDirective):
    """A directive whose content is written as Markdown."""

    def run(self) -> list[nodes.Node]:
        lines = StringList(list(self.markdown()), source=self.name)
        holder = nodes.section()
        self.state.nested_parse(lines, self.content_offset, holder)
        return list(holder.children)

    def markdown(self) -> Iterator[str]:
        raise NotImplementedError


class TaskDirective(Generated):
    """A class that DAG authors use."""

    required_arguments = 1

    def markdown(self) -> Iterator[str]:
        module, _, name = self.arguments[0].rpartition(".")
        documented = getattr(importlib.import_module(module), name)
        text, fields = read_docstring(documented)
        yield from ("```python", f"from {module} import {name}", "```", "", *text.splitlines(), "")
        rows = (
            (f"`{argument}`", default_of(parameter), fields["param", argument])
            for argument, parameter in own_parameters(documented)
        )
        yield from table(("argument", "default", "meaning"), rows)
        if templated := getattr(documented, "template_fields", None):
            yield from ("Templated: " + ", ".join(f"`{field}`" for field in templated) + ".", "")
        if returned := fields.get(("return", "")):
            yield from ("**Returns.** " + returned, "")
        raised = [(f"`{name}`", meaning) for (kind, name), meaning in fields.items() if kind == "raises"]
        yield from table(("raises", "when"), raised)


class ConnectionDirective(Generated):
    """The connection's extra, in the order of the form."""

    def markdown(self) -> Iterator[str]:
        rows = (
            (
                f"`{field.name}`",
                field.kind,
                "none"
                if field.default is None
                else f"`{str(field.default).lower() if field.kind == 'boolean' else field.default}`",
                field.description,
            )
            for field in EXTRA_FIELDS
        )
        return table(("extra", "type", "default", "meaning"), rows)


class ConfigurationDirective(Generated):
    """The settings of Airflow's configuration."""

    def markdown(self) -> Iterator[str]:
        for section, content in get_provider_info()["config"].items():
            rows = (
                (f"`[{section}] {name}`", f"`{option['default']}`", " ".join(option["description"].split()))
                for name, option in content["options"].items()
            )
            yield from table(("setting", "default", "meaning"), rows)


class ErrorsDirective(Generated):
    """Each error with what its docstring says and the advice that it gives."""

    def markdown(self) -> Iterator[str]:
        rows = (
            (f"`{name}`", first_sentence(value), value.default_advice or "")
            for name, value in vars(errors).items()
            if inspect.isclass(value) and issubclass(value, errors.AlchemyError)
        )
        return table(("error", "when", "what it advises"), rows)


def read_docstring(documented: Any) -> tuple[str, dict[tuple[str, str], str]]:
    """Divide a docstring into its text and its fields, by kind and name; a field's lines become one."""
    source = inspect.cleandoc(documented.__doc__)
    fields = list(_FIELD.finditer(source))
    text = source[: fields[0].start()] if fields else source
    ends = [field.start() for field in fields[1:]] + [len(source)]
    read = {
        (field[1], field[2].strip()): " ".join(source[field.end() : end].split())
        for field, end in zip(fields, ends, strict=True)
    }
    return text.strip(), read


def own_parameters(documented: Any) -> Iterator[tuple[str, inspect.Parameter]]:
    for name, parameter in inspect.signature(documented.__init__).parameters.items():
        if name != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD:
            yield name, parameter


def default_of(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return "needed"
    if parameter.name == "deferrable":
        return DEFAULT_DEFERRABLE
    return f"`{parameter.default!r}`".replace("datetime.", "")


def first_sentence(documented: Any) -> str:
    return " ".join(inspect.cleandoc(documented.__doc__ or "").split("\n\n")[0].split())


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    if lines:
        names = list(header)
        yield from (f"| {' | '.join(names)} |", "|" + "---|" * len(names), *lines, "")


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("task", TaskDirective)
    app.add_directive("connection", ConnectionDirective)
    app.add_directive("configuration", ConfigurationDirective)
    app.add_directive("errors", ErrorsDirective)
    return {"parallel_read_safe": True}
