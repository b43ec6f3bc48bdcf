"""The page of a report, opened from a file in a real Chromium. A message on its console or a request is a failure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rolecall.report.html.page import page
from rolecall.report.report import Report
from tests.browser import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Request

Visit = Callable[..., "Page"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed. Run: make test")
    try:
        found = chromium.find()
    except chromium.BrowserError as error:
        pytest.skip(str(error))
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=found.program, args=["--no-sandbox"], env={**os.environ, **found.env}
            )
        except sync_api.Error as error:
            if not found.is_bundled:
                raise
            pytest.skip(f"the Chromium of the npm package does not start on this system: {error.message[:300]}")
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: Browser, tmp_path: Path) -> Iterator[Visit]:
    """A function that opens the page of a report at an address: ``visit(report, "#map", width=360, dark=True)``."""
    problems: list[str] = []
    contexts = []

    def visit(report: Report, address: str = "", *, width: int = 1280, dark: bool = False) -> Page:
        file = tmp_path / "report.html"
        file.write_text(page(report), encoding="utf-8")
        settings: dict[str, Any] = {"color_scheme": "dark" if dark else "light"}
        context = browser.new_context(viewport={"width": width, "height": 800}, **settings)
        contexts.append(context)
        context.set_default_timeout(10_000)
        opened = context.new_page()
        opened.on("console", on_message)
        opened.on("pageerror", lambda error: problems.append(str(error)))
        opened.on("request", on_request)
        opened.goto(file.as_uri() + address)
        return opened

    def on_message(message: ConsoleMessage) -> None:
        problems.append(f"{message.type}: {message.text}")

    def on_request(request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            problems.append(f"request: {request.url}")

    yield visit
    for context in contexts:
        context.close()
    assert problems == []
