"""The page by axe-core: no violation in any view, in both themes and on a phone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pytest

from tests.browser import chromium
from tests.rolecall.report.html import sample
from tests.rolecall.report.html.conftest import Visit
from tests.rolecall.report.html.test_views import VIEWS, turn_to

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Not the viewer of mutants, whose parts are not ours.
RUN = "axe.run({exclude: ['mutation-test-report-app']}).then(found => found.violations)"


def violations(page: Page, views: Iterable[str] = VIEWS) -> list[str]:
    """What axe finds in each view, with everything open that can be opened."""
    try:
        axe = chromium.axe()
    except chromium.BrowserError as error:
        pytest.skip(str(error))
    page.evaluate(axe)
    found = []
    for view in views:
        turn_to(page, view)
        page.evaluate("document.querySelectorAll('details:not(.menu)').forEach(each => { each.open = true; })")
        for each in page.evaluate(RUN):
            found += [f"{view}: {each['id']}: {node['html'][:150]} {node['failureSummary']}" for node in each["nodes"]]
    return found


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_violation(visit: Visit, dark: bool) -> None:
    assert violations(visit(sample.everything(), dark=dark)) == []


def test_no_violation_on_a_phone(visit: Visit) -> None:
    assert violations(visit(sample.everything(), width=360)) == []


def test_no_violation_in_an_empty_report(visit: Visit) -> None:
    assert violations(visit(sample.empty()), [view for view in VIEWS if view != "changes"]) == []
