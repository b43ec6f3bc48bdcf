"""MkDocs hooks: pages from files outside of docs/, links that work on GitHub and on the site, generated parts."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path, PurePosixPath
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page

from docs.reference import generated, markdown

ROOT = Path(__file__).parent.parent
GITHUB = "https://github.com/enorae/rolecall/blob/main/"
LINK = re.compile(r"\]\((?!#)([^)\s]+)\)")
log = logging.getLogger("mkdocs.hooks")  # a warning ends the build, which is strict


def on_page_markdown(text: str, /, page: Page, config: MkDocsConfig, **_: Any) -> str:  # noqa: ARG001
    """Take the text of ``include`` instead of the page's own, generate what is generated, adapt the links."""
    path = PurePosixPath("docs") / page.file.src_uri
    if include := page.meta.get("include"):
        path = PurePosixPath(str(include))
        text = (ROOT / path).read_text(encoding="utf-8")
    return LINK.sub(lambda link: f"]({_adapted(link[1], path)})", generated(text))


def _adapted(target: str, path: PurePosixPath) -> str:
    """The target of a link: a page of the site where it is one, else the file on GitHub."""
    if target.startswith(GITHUB):
        name, _, anchor = target.removeprefix(GITHUB).partition("#")
    elif "://" not in target and not target.startswith("mailto:"):
        name, _, anchor = target.partition("#")
        name = os.path.normpath(path.parent / name)
    else:
        return target
    if not (ROOT / name).exists():
        log.warning("%s has a link to %s, which does not exist", path, name)
    anchor = f"#{anchor}" if anchor else ""
    pages = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
    if name in pages or name.startswith("docs/"):
        return pages.get(name, name.removeprefix("docs/")) + anchor
    return GITHUB + name + anchor


class Docstrings(griffe.Extension):
    """Docstrings have a little reStructuredText, and mkdocstrings reads Markdown."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite a docstring before it is read."""
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)
