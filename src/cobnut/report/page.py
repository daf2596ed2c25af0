"""One HTML file from a template: style and script inside, nothing fetched, no script but ours allowed to run."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cobnut.files import write_whole

if TYPE_CHECKING:
    from jinja2 import Environment


def render_page(template: str, values: Mapping[str, Any], styles: Sequence[str] = ()) -> str:
    """The page as text: ``template`` of the folder ``templates`` filled with ``values``, ``style`` and ``script``.

    ``styles`` names style sheets of that folder which follow the one that all pages share.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("cobnut.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _source(environment, "report.js")
    shared = {
        "style": Markup("\n".join(_source(environment, name) for name in ("report.css", *styles))),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return environment.get_template(template).render(shared, **values)


def write_page(html: str, path: Path) -> None:
    """Write a page, whole or not at all; characters that no file can hold become question marks."""
    with write_whole(path) as partial:
        partial.write_bytes(html.encode("utf-8", errors="replace"))


def _source(environment: "Environment", name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]
