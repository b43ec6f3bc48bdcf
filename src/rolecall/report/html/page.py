"""The report as one HTML page, for people: who can do what, on a map, with what decided and which test says so.

The page needs no network and no other file. ``template.html`` is its frame, ``app/`` the program that draws it in the
browser, and ``vendor/`` the libraries that the program uses, as npm has them.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

from rolecall.report.report import Report, as_json

HERE = files("rolecall.report.html")
# In the order in which the browser runs them: each uses the functions of those before it.
APP = (
    "words",
    "model",
    "route",
    "parts",
    "filters",
    "marks",
    "map",
    "details",
    "persona",
    "object",
    "column",
    "run",
    "steps",
    "changes",
    "app",
)
# Nothing from the network, and no script but those of this page. Styles may be set by the libraries.
POLICY = "default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'"  # noqa: E501
PLACEHOLDER = re.compile(r"\{\{(\w+)\}\}")
SOURCE_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)


class Vendored(NamedTuple):
    """A library of ``vendor/``: its folder there, which is its name on npm; the version, licence and files."""

    name: str
    version: str
    licence: str
    files: tuple[str, ...]


PREACT = Vendored("preact", "10.29.8", "MIT", ("preact.umd.js", "hooks.umd.js"))
HTM = Vendored("htm", "3.1.1", "Apache-2.0", ("htm.umd.js",))
MUTANTS = Vendored("mutation-testing-elements", "3.9.0", "Apache-2.0", ("mutation-test-elements.js",))


def page(report: Report) -> str:
    """The report as the text of one HTML file."""
    return page_of_json(as_json(report))


def page_of_json(text: str) -> str:
    """As :func:`page`, from the report as JSON. Raises ValueError if it is none."""
    data: Mapping[str, Any] = json.loads(text)
    if not isinstance(data, dict) or not {"project", "personas", "objects"} <= data.keys():
        raise ValueError("not a report of rolecall: it has no project, personas or objects")
    libraries = (PREACT, HTM, MUTANTS) if data.get("mutants") else (PREACT, HTM)
    scripts = [script for library in libraries for script in _scripts(library)] + [_app()]
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    parts = {
        "policy": POLICY.format(hashes=hashes),
        "title": html.escape(f"{data['project']} · who can do what"),
        "style": _read("page.css"),
        "licences": "".join(_licence(library) for library in libraries),
        "report": _in_script(data),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    return PLACEHOLDER.sub(lambda found: parts[found[1]], _read("template.html"))


def _in_script(data: Mapping[str, Any]) -> str:
    """JSON that no HTML parser takes for the end of its script, for a comment or for a tag."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _scripts(library: Vendored) -> list[str]:
    return [_vendored(f"vendor/{library.name}/{name}") for name in library.files]


@cache
def _vendored(path: str) -> str:
    """A vendored script, without the name of its source map, which a browser would look for."""
    return SOURCE_MAP.sub("", _read(path)).replace("</script", "<\\/script")


@cache
def _app() -> str:
    modules = "\n".join(_read(f"app/{name}.js") for name in APP)
    return f'(() => {{\n"use strict";\n{modules}}})();'


def _licence(library: Vendored) -> str:
    title = f"{library.name} {library.version}, {library.licence}"
    text = _read(f"vendor/{library.name}/LICENSE").strip("\n")
    return f'<h2>{html.escape(title)}</h2><pre tabindex="0">{html.escape(text)}</pre>'


@cache
def _read(path: str) -> str:
    return HERE.joinpath(path).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """The hash of a script in the form of a Content-Security-Policy."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
