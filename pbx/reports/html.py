"""A report as one HTML page: no script, nothing to load, made to be printed as well."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from pbx.reports.document import Document, Note, Table
from pbx.reports.drawing import Drawing, svg


def page(document: Document) -> str:
    """The page's text."""
    return _template().render(doc=document)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("pbx.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["note"] = lambda block: isinstance(block, Note)
    environment.tests["table"] = lambda block: isinstance(block, Table)
    environment.globals["svg"] = _svg
    environment.globals["mood"] = _mood
    return environment.get_template("report.html.j2")


def _svg(drawing: Drawing) -> Markup:
    return Markup(svg(drawing))  # noqa: S704 - `svg` escapes every text itself


def _mood(is_good: bool | None) -> str:
    return "" if is_good is None else " good" if is_good else " bad"
