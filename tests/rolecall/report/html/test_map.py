"""The map in a browser: its marks, its details, its filters, its keyboard, and the address that has all of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from tests.rolecall.report.html import sample
from tests.rolecall.report.html.conftest import Visit

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ROW, OTHER, DELETED = sample.ROWS


def cell(page: Page, persona: str, table: str) -> Locator:
    return page.get_by_role("gridcell", name=re.compile(f"^{re.escape(f'{persona}, {table}:')}"))


def marks(page: Page, persona: str, table: str) -> str | None:
    """The marks of a cell: letters, each with + for all rows, ~ for some, ? for a privilege alone and - for none."""
    return cell(page, persona, table).get_attribute("data-marks")


def focused(page: Page) -> str:
    return str(
        page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent.trim()")
    )


def wait_for_count(page: Page, selector: str, number: int) -> None:
    from playwright.sync_api import expect

    expect(page.locator(selector)).to_have_count(number)


def rows_of(page: Page) -> list[str]:
    return [text.strip() for text in page.locator('.map th[scope="row"] .bare').all_inner_texts()]


def columns_of(page: Page) -> list[str]:
    return [text.replace("\n", "") for text in page.locator(".map thead th").all_inner_texts()]


def test_the_marks_say_which_rows(visit: Visit) -> None:
    page = visit(sample.everything())
    assert marks(page, "customer", "app.favorites") == "S~I~U~D~M-"
    assert marks(page, "service", "app.favorites") == "S+I+U~D+M+"
    assert marks(page, "anon", "app.salons") == "S+I-U-D-"
    assert marks(page, "owner", "app.close_salon(uuid, reason text)") == "C+"
    assert marks(page, "staff", "storage.objects") == "S+I?"


def test_a_cell_says_its_marks_to_a_screen_reader(visit: Visit) -> None:
    page = visit(sample.everything())
    assert cell(page, "owner", "app.favorites").get_attribute("aria-label") == (
        "owner, app.favorites: select some rows, insert none, update some rows, delete none, moves none; "
        "differs from the grid; gained select"
    )


def test_a_click_opens_the_details_and_the_address_has_them(visit: Visit) -> None:
    page = visit(sample.everything())
    cell(page, "owner", "app.favorites").click()
    panel = page.get_by_role("complementary")
    assert panel.get_by_role("heading", level=2).inner_text() == "owner on app.favorites"
    text = panel.inner_text()
    assert "owner can read 2 of 3 rows, and change 1 of 3 rows; cannot add, delete or move any row." in text
    assert "authenticated holds SELECT, INSERT, UPDATE, DELETE" in text
    assert f"lets through: {ROW}, {OTHER}, {DELETED}" in text
    assert "restrictive, for all, to public" in text
    assert "the persona, customer_id, deleted_at and app.salons.owner_id" in text
    assert page.url.endswith("#map?object=app.favorites&persona=owner")
    assert cell(page, "owner", "app.favorites").get_attribute("aria-selected") == "true"
    page.go_back()
    panel.wait_for(state="detached")
    assert page.locator("[aria-selected]").count() == 0
    page.go_forward()
    assert panel.inner_text() == text


def test_an_attempt_has_its_statement_and_its_test(visit: Visit) -> None:
    page = visit(sample.everything(), "#map?object=app.favorites&persona=owner")
    attempt = page.locator(".tried li", has_text="the grid says")
    attempt.locator("summary").click()
    text = attempt.inner_text()
    assert "≠ the grid says -" in text
    assert '"app"."favorites" WHERE "id" = 2' in text
    assert f"{sample.FILE}::test_grid[{OTHER}-select-owner]" in text
    assert f"{sample.FILE}:15" in text


def test_the_details_tell_refused_from_nothing_and_from_an_error(visit: Visit) -> None:
    page = visit(sample.everything())

    def summaries(persona: str) -> list[str]:
        page.evaluate("address => { location.hash = address; }", f"#map?object=app.favorites&persona={persona}")
        page.locator("#details-title", has_text=persona).wait_for()
        return [text.split("\n")[0] for text in page.locator(".tried summary").all_inner_texts()]

    assert summaries("staff")[0] == f"○ sees nothing - {ROW}"
    assert summaries("anon")[0] == f"✕ refused ! {ROW}"
    assert summaries("service")[8] == f"⚠ error P0001 {DELETED}"
    assert summaries("service")[3] == f"◐ in some ways yes/! {ROW}"


def test_the_arrow_keys_move_enter_opens_and_escape_returns(visit: Visit) -> None:
    page = visit(sample.everything())
    page.locator(".legend").click()
    page.locator('.map [tabindex="0"]').focus()
    assert focused(page).startswith("customer, app.favorites")
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown"):
        page.keyboard.press(key)
    assert focused(page).startswith("owner, app.salons")
    page.keyboard.press("Enter")
    page.get_by_role("complementary").wait_for()
    assert focused(page) == "owner on app.salons"
    page.keyboard.press("Escape")
    page.get_by_role("complementary").wait_for(state="detached")
    page.locator("td:focus").wait_for()
    assert focused(page).startswith("owner, app.salons")
    page.keyboard.press(" ")
    page.get_by_role("complementary").wait_for()


def test_the_ends_of_the_map_and_its_headings_are_reached_by_keys(visit: Visit) -> None:
    page = visit(sample.everything())
    page.locator('.map [tabindex="0"]').focus()
    page.keyboard.press("Control+End")
    assert focused(page).startswith("service, storage.objects")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")
    assert focused(page).startswith("service, storage.objects")
    page.keyboard.press("Home")
    assert "objects" in focused(page)
    page.keyboard.press("Control+Home")
    page.keyboard.press("ArrowRight")
    assert focused(page) == "customer"
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="What can customer do?").wait_for()


def test_the_map_is_one_stop_of_the_tab_key(visit: Visit) -> None:
    page = visit(sample.everything())
    page.locator(".map [tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    assert page.locator(".map [tabindex='0']").count() == 1
    page.keyboard.press("Tab")
    assert focused(page).startswith("What is in this page")


def choose(name: str, value: str) -> Callable[[Page], object]:
    return lambda page: page.get_by_role("combobox", name=name).select_option(value)


@pytest.mark.parametrize(
    ("act", "address", "rows", "columns"),
    [
        (lambda page: page.get_by_label("Search").fill("FAV a"), "#map?q=FAV+a", ["favorites", "salon_favorites"], 7),
        (lambda page: page.get_by_label("views", exact=True).check(), "#map?kind=view", ["salon_favorites"], 7),
        (choose("Command", "delete"), "#map?command=delete", ["favorites", "salons"], 7),
        (choose("Access", "some"), "#map?level=some", ["favorites"], 4),
        (choose("Only", "differs"), "#map?only=differs", ["favorites"], 1),
        (choose("Only", "changed"), "#map?only=changed", ["favorites", "salon_favorites"], 2),
    ],
    ids=["search", "kind", "command", "access", "differs", "changed"],
)
def test_a_filter_is_in_the_address_and_a_link_shows_the_same(
    visit: Visit, act: Callable[[Page], object], address: str, rows: list[str], columns: int
) -> None:
    page = visit(sample.everything())
    act(page)
    page.wait_for_url(f"**/report.html{address}")
    wait_for_count(page, ".map thead th", columns)
    assert rows_of(page) == rows
    again = visit(sample.everything(), address)
    assert (rows_of(again), columns_of(again)) == (rows, columns_of(page))
    again.get_by_role("link", name="Show everything").click()
    wait_for_count(again, ".map thead th", 7)


def test_personas_are_chosen_from_a_menu_that_escape_closes(visit: Visit) -> None:
    page = visit(sample.everything())
    page.get_by_text("Personas: all").click()
    page.locator(".choices").get_by_label("staff").check()
    page.locator(".choices").get_by_label("owner").check()
    assert columns_of(page) == ["staff", "owner"]
    page.keyboard.press("Escape")
    assert not page.locator(".choices").is_visible()
    assert focused(page) == "Personas: 2 chosen"


def test_back_takes_a_filter_away_but_not_each_letter(visit: Visit) -> None:
    page = visit(sample.everything())
    page.get_by_role("combobox", name="Command").select_option("delete")
    page.get_by_label("Search").press_sequentially("fav")
    page.wait_for_url("**/report.html#map?command=delete&q=fav")
    page.go_back()
    wait_for_count(page, '.map th[scope="row"]', 6)
    assert page.url.endswith("report.html")


def test_an_address_with_unknown_names_shows_the_map(visit: Visit) -> None:
    page = visit(sample.everything(), "#nothing")
    for address in (
        "#nothing",
        "#map?persona=nobody&object=app.favorites",
        "#map?personas=nobody&only=x&level=y&command=z",
        "#map?kind=",
        "#?",
        "#%",
    ):
        page.evaluate("address => { location.hash = address; }", address)
        wait_for_count(page, ".map thead th", 7)
        assert len(rows_of(page)) == 6
        assert page.get_by_role("complementary").count() == 0


def test_a_filter_that_leaves_nothing_says_so(visit: Visit) -> None:
    page = visit(sample.everything(), "#map?q=zzz")
    assert page.get_by_text("Nothing matches these filters.").is_visible()
    assert page.get_by_role("status").inner_text().startswith("0 of 6 objects")
