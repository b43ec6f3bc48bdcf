"""The other views in a browser: answers, changes, what was measured; on a phone, on paper, with hostile names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.rolecall.report.html import sample
from tests.rolecall.report.html.conftest import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Page

VIEWS = {
    "map": "#map",
    "details": "#map?object=app.favorites&persona=owner",
    "changes": "#changes",
    "persona": "#persona?name=owner",
    "object": "#object?name=app.favorites",
    "column": "#column?object=app.favorites&name=notes",
    "tests": "#tests",
    "coverage": "#coverage",
    "mutants": "#mutant",
    "phases": "#phases",
    "findings": "#findings",
    "drift": "#drift",
}
OF_THE_RUN = ("tests", "coverage", "mutants", "phases", "findings", "drift")


def turn_to(page: Page, view: str, address: str = "") -> None:
    """Show another view of an open page."""
    page.evaluate("address => { location.hash = address; }", address or VIEWS[view])
    page.locator(f"#main.view-{view.replace('details', 'map')}").wait_for()


def test_what_a_persona_can_do(visit: Visit) -> None:
    text = visit(sample.everything(), "#persona?name=owner").locator("#main").inner_text()
    assert "owner can do something with 5 of 6 objects." in text
    assert "owner can read 2 of 3 rows, and change 1 of 3 rows; cannot add, delete or move any row." in text
    assert "owner can read, add and change the row; cannot delete any row." in text
    assert "owner can call it." in text
    assert "owner can read the row, and add rows, as far as the privilege goes." in text
    assert text.split("Nothing with these")[1].strip() == "app.audit"


def test_who_can_touch_a_table(visit: Visit) -> None:
    text = visit(sample.everything(), "#object?name=app.favorites").locator("#main").inner_text()
    assert f"owner can read 2 of 3 rows: {sample.ROWS[0]}, {sample.ROWS[1]}." in text
    assert "Cannot: staff, anon and granted_anon." in text
    assert "Nobody sees what is deleted" in text
    assert "app.salon_favorites (view)" in text
    assert "off: grants alone decide" in visit(sample.everything(), "#object?name=app.audit").inner_text("#main")


def test_who_can_see_a_column(visit: Visit) -> None:
    text = visit(sample.everything(), "#column?object=app.favorites&name=notes").locator("#main").inner_text()
    assert f"owner sees it in some rows: {sample.ROWS[0]}, {sample.ROWS[1]}." in text
    assert "service sees it in all rows." in text
    assert "staff may select the column, and gets no row. anon and granted_anon hold no privilege" in text
    assert "app.salon_favorites (view): owner and service" in text


def test_a_choice_changes_the_answer_and_the_address(visit: Visit) -> None:
    page = visit(sample.everything(), "#persona?name=owner")
    page.get_by_role("combobox", name="Persona").select_option("anon")
    page.get_by_role("heading", name="What can anon do?").wait_for()
    assert page.url.endswith("#persona?name=anon")
    page.get_by_role("link", name="Why: anon on app.salons").click()
    page.locator("#details-title", has_text="anon on app.salons").wait_for()
    page.go_back()
    page.go_back()
    page.get_by_role("heading", name="What can owner do?").wait_for()


@pytest.mark.parametrize("address", ["#persona?name=x", "#object?name=x"])
def test_an_unknown_name_is_said(visit: Visit, address: str) -> None:
    assert "“x” in this report" in visit(sample.everything(), address).locator("#main").inner_text()


def test_the_changes_are_beside_the_map(visit: Visit) -> None:
    page = visit(sample.everything(), "#changes")
    panel = page.get_by_role("complementary")
    text = panel.inner_text()
    assert "1 gain and 1 loss of access." in text
    assert text.index("owner gained select") < text.index("anon lost select")
    assert "service: only one side has this persona" in text
    assert page.locator('.map th[scope="row"] .bare').all_inner_texts() == ["favorites", "salon_favorites"]
    panel.get_by_text("See it yourself").click()
    assert 'SELECT * FROM "app"."favorites" WHERE "id" = 2' in panel.inner_text()
    panel.get_by_role("link", name="Details of owner on app.favorites").click()
    page.locator("#details-title", has_text="owner on app.favorites").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("heading", name="What has changed", level=2).wait_for()


def test_without_changes_there_is_no_view_of_them(visit: Visit) -> None:
    page = visit(sample.empty(), "#changes")
    assert page.get_by_role("link", name="Changes").count() == 0
    assert page.get_by_text("The report has no objects.").is_visible()


def test_what_was_not_measured_says_how(visit: Visit) -> None:
    page = visit(sample.empty())
    for view in OF_THE_RUN:
        turn_to(page, view)
        assert page.locator("#main .empty code").count() == 1


MEASURED = {
    "tests": ["812 passed, 1 failed and 4 undecided", "let in"],
    "coverage": ["25 of 26", "app.audit: nobody reads it", "52 of 52"],
    "mutants": ["Score 97.6 %", "the policy lets every row through"],
    "phases": [
        *("The rollback took all of it away", "The rollback left 1 object", "It has no rollback", "1 min 15 s"),
        *("writes of 1 table wait", "reads and writes of 1 table wait", "nothing waits"),
    ],
    "findings": ["noticed by 2 tests", "no test notices it"],
    "drift": ["The database has the phases up to 2 of 3", "deleted_at IS NULL", "grants of the platform"],
}


def test_what_was_measured(visit: Visit) -> None:
    page = visit(sample.everything())
    for view in OF_THE_RUN:
        turn_to(page, view)
        text = page.locator("#main").inner_text()
        assert [each for each in MEASURED[view] if each not in text] == []


def test_the_viewer_of_mutants_opens_a_file_and_back_returns(visit: Visit) -> None:
    page = visit(sample.everything(), "#tests")
    page.get_by_role("link", name="Mutants").click()
    page.get_by_role("link", name="02_favorites.sql").click()
    page.wait_for_url("**#mutant/**")
    page.get_by_text("CREATE POLICY").wait_for()
    assert page.locator("#main").get_attribute("class") == "view-mutants"
    page.go_back()
    page.go_back()
    page.get_by_role("heading", name="Tests", level=1).wait_for()


def test_the_theme_is_that_of_the_system_until_one_is_chosen(visit: Visit) -> None:
    def theme() -> str:
        return str(page.evaluate("document.documentElement.dataset.theme"))

    def colours() -> tuple[bool, bool]:
        """Whether the marks of the map have the colours of the light theme, and those of the dark one."""
        picture = page.locator("td[data-object]").first.evaluate("cell => getComputedStyle(cell).backgroundImage")
        return "ffd98f" in picture, "574417" in picture

    page = visit(sample.everything(), dark=True)
    assert theme() == "dark"
    assert colours() == (False, True)
    page.get_by_role("combobox", name="Theme").select_option("light")
    assert theme() == "light"
    assert colours() == (True, False)
    page.reload()
    assert theme() == "light"
    page.get_by_role("combobox", name="Theme").select_option(label="as the system")
    page.emulate_media(color_scheme="light")
    page.locator('html[data-theme="light"]').wait_for()
    page.emulate_media(color_scheme="dark")
    page.locator('html[data-theme="dark"]').wait_for()


def test_a_phone_need_not_scroll_to_the_side(visit: Visit) -> None:
    page = visit(sample.everything(), width=360)
    for view in VIEWS:
        turn_to(page, view)
        assert (view, page.evaluate("document.documentElement.scrollWidth")) == (view, 360)


def test_on_a_phone_the_details_stand_in_place_of_the_map(visit: Visit) -> None:
    page = visit(sample.everything(), VIEWS["details"], width=360)
    assert not page.locator(".map").is_visible()
    page.get_by_role("button", name="Close the details").click()
    page.locator(".map").wait_for()


def test_paper_has_the_whole_map_in_parts_that_fit(visit: Visit) -> None:
    page = visit(sample.many_personas(15), width=1035)
    assert page.locator(".map").count() == 1
    page.emulate_media(media="print")
    page.locator(".map").nth(1).wait_for()
    assert [table.locator("thead th").count() for table in page.locator(".map").all()] == [13, 2]
    box = page.locator(".map-box")
    assert page.evaluate("document.documentElement.scrollWidth") == 1035
    assert box.evaluate("box => [getComputedStyle(box).overflow, getComputedStyle(box).maxHeight]") == [
        "visible",
        "none",
    ]
    assert [page.locator(each).is_visible() for each in ("nav", ".filters", ".theme", "footer")] == [False] * 4
    page.emulate_media(media="screen")
    page.locator("nav").wait_for()
    assert page.locator(".map").count() == 1


def test_names_are_text_and_nothing_else(visit: Visit) -> None:
    """A message on the console is a failure too: the policy of the page reports what it stops there."""
    page = visit(sample.hostile())
    for view in VIEWS:
        turn_to(page, view, VIEWS[view].split("?")[0])
        if view == "details":
            page.locator("td[data-object]").first.click()
            page.get_by_role("complementary").wait_for()
        page.evaluate("document.querySelectorAll('details').forEach(each => { each.open = true; })")
        assert page.evaluate(
            "[window.broken, document.querySelectorAll('main img, main b b, main script').length]"
        ) == [None, 0]
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
        if view != "mutants":
            assert "onerror='window.broken = 2'" in page.locator("#main").inner_text()


def test_a_persona_and_an_object_may_have_any_name(visit: Visit) -> None:
    page = visit(sample.hostile())
    for name in sample.HOSTILE:
        page.evaluate("name => { location.hash = `#persona?${new URLSearchParams({ name })}`; }", name)
        page.locator("h1", has_text=name).wait_for()
        page.evaluate("name => { location.hash = `#object?${new URLSearchParams({ name })}`; }", f'"{name}"."{name}"')
        page.locator(".facts code", has_text=f'"{name}"."{name}"').first.wait_for()
