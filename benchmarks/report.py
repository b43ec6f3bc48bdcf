"""The page of a large report in Chromium: writing it, opening it, opening the details of a cell, filtering."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.results import Ratio, Result, seconds
from rolecall.report.html.page import page
from rolecall.report.report import (
    Place,
    Report,
    ReportedColumn,
    ReportedCommand,
    ReportedObject,
    ReportedPersona,
    ReportedPolicy,
)
from tests.browser import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TABLES, PERSONAS, ROWS = 100, 30, 5
COMMANDS = ("select", "insert", "update", "delete")
VERDICTS = ("yes", "-", "!", "yes/!")
ROUNDS = 9
REST = 300  # milliseconds between opening and the first click: a person is not faster
WRITE, OPEN, CLICK, FILTER = (
    "write the page",
    "open the page",
    "open the details of a cell",
    "type a letter in the search",
)


def run() -> Result:
    """Open the page several times, each time in a new context, and click and type in it."""
    result = Result("report", f"The page of {TABLES} tables and {PERSONAS} personas", unit="s")
    report = synthetic()
    with TemporaryDirectory() as folder, browser() as chrome:
        file = Path(folder) / "report.html"
        result.samples[WRITE] = [seconds(lambda: page(report)) for _ in range(ROUNDS)]
        file.write_text(page(report), encoding="utf-8")
        for number in range(ROUNDS + 1):
            measured = measure(chrome, file)
            for what, value in measured.items() if number else ():  # the first round warms up
                result.samples.setdefault(what, []).append(value)
        result.facts |= {"chromium": chrome.version, "page, MB": round(file.stat().st_size / 1e6, 1)}
    result.facts |= {"tables": TABLES, "personas": PERSONAS, "verdicts": TABLES * PERSONAS * ROWS * len(COMMANDS)}
    for what, at_most in ((OPEN, 2.0), (CLICK, 0.1)):
        result.ratios.append(Ratio(f"{what}, s", result.median(what), at_most))
    return result


def measure(chrome: Browser, file: Path) -> dict[str, float]:
    """The seconds of each step in a new context. A step ends when its result is drawn."""
    context = chrome.new_context(viewport={"width": 1400, "height": 900})
    opened = context.new_page()
    opened.goto(file.as_uri())
    measured = {OPEN: drawn(opened, "", "document.querySelectorAll('.map td[data-object]').length > 0")}
    opened.wait_for_timeout(REST)
    measured[CLICK] = drawn(
        opened,
        'document.querySelector(\'[data-object="3"][data-persona="7"]\').click()',
        "document.querySelector('#details-title')",
    )
    opened.goto(file.as_uri() + "#map")
    opened.locator(".panel").wait_for(state="detached")
    letter = (
        "const input = document.querySelector('#search'); input.value = '9'; input.dispatchEvent(new Event('input'))"
    )
    measured[FILTER] = drawn(opened, letter, f"document.querySelectorAll('.map th[scope=row]').length < {TABLES}")
    context.close()
    return measured


def drawn(opened: Page, begin: str, is_there: str) -> float:
    """Seconds from what ``begin`` does (from the navigation, if it is empty) until something is there and drawn."""
    return float(
        opened.evaluate(
            f"""() => new Promise(done => {{
              const start = {"performance.now()" if begin else "0"};
              {begin};
              const end = () => requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
              const look = () => {is_there} ? end() : requestAnimationFrame(look);
              look();
            }})"""
        )
        / 1000
    )


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    found = chromium.find()
    with sync_playwright() as playwright:
        chrome = playwright.chromium.launch(
            executable_path=found.program, args=["--no-sandbox"], env={**os.environ, **found.env}
        )
        yield chrome
        chrome.close()


def synthetic() -> Report:
    """A report of many tables, each with four policies and a grid of five rows."""
    personas = [ReportedPersona(f"persona_{each}", "app_user", {"sub": str(each)}) for each in range(PERSONAS)]
    return Report("synthetic", "", "", "", 0, personas, [table(number) for number in range(TABLES)])


def table(number: int) -> ReportedObject:
    """One table, with verdicts that differ between rows, commands and personas."""
    names = [f"row {row}" for row in range(ROWS)]
    commands = [
        ReportedCommand(
            name,
            command,
            f'{command.upper()} "app"."table_{number}" WHERE "id" = {row}',
            [VERDICTS[(number + row * place + persona) % 4] for persona in range(PERSONAS)],
            lines=list(range(PERSONAS)),
        )
        for row, name in enumerate(names)
        for place, command in enumerate(COMMANDS)
    ]
    admits = {f"persona_{persona}": names[: persona % ROWS] for persona in range(PERSONAS)}
    place = Place("schema.sql", number)
    policies = [
        ReportedPolicy(f"{each} policy", True, each, ["app_user"], "owner = app.me()", None, place, admits, admits)
        for each in COMMANDS
    ]
    columns = [
        ReportedColumn(each, "text", ["app_user"], ["app_user"], ["app_user"]) for each in ("id", "owner", "body")
    ]
    return ReportedObject(
        f"app.table_{number}",
        "table",
        place,
        1,
        True,
        commands,
        policies,
        {"app_user": ["SELECT", "INSERT", "UPDATE", "DELETE"]},
        columns,
        test="tests/test_app.py::test_grid",
        test_place=Place("tests/test_app.py", 1),
    )
