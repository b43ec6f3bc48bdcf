"""The text of a grid is found as Python's parser sees it, and only a plain literal is rewritten."""

from __future__ import annotations

import pytest

from rolecall.update.source import LeftAloneError, find, with_text

BEFORE = "# é — a comment\nfrom rolecall import grid\n\n"
LINE = 4


@pytest.mark.parametrize(
    "call",
    [
        'x = grid("app.notes", """\n  select\n  """, update="a = 1")',
        "x = grid('app.notes', '''\n  select\n  ''', update=\"a = 1\")",
        'x = grid("app.notes", r"""\n  select\n  """, update="a = 1")',
        'x = grid("app.é—", text="""\n  select\n  """, update="a = 1")',
        'x = rolecall.grid("é", """\n  select\n  """, **more)',
        'x = [grid("a", """\n  select\n  """, update="a = 1")]; y = f("b", """\n  select\n  """)',
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_the_text_changes(call: str, newline: str) -> None:
    source = (BEFORE + call + "\n\nother = 1\n").replace("\n", newline)
    literal = find(source, LINE)
    assert literal.text == "\n  select\n  "
    new = with_text(source, literal, "\n  changed\n  ")
    assert new == source.replace("select", "changed", 1)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ('grid("a", f"""\n{x}\n""", update="a = 1")', "its text is an f-string"),
        ('grid("a", TEXT, update="a = 1")', "its text is computed"),
        ('grid("a", """\n""" + TEXT, update="a = 1")', "its text is computed"),
        ('grid("a", """\n""" """\n""", update="a = 1")', "its text is in several parts"),
        ('grid("a", ("""\n"""\n"""\n"""), update="a = 1")', "its text is in several parts"),
        ('grid("a", "select\\n", update="a = 1")', "its text is not in triple quotes"),
        ('grid("a", "", update="a = 1")', "its text is not in triple quotes"),
        ('grid("a", """\nbob\\\'s note\n""", update="a = 1")', "its text has a backslash, or lines that end in"),
        ('other("a", """\n""")', "its call is not in this line"),
        ('grid("a", """x""", update=""), grid("b", """y""", update="")', "its call is not in this line"),
    ],
)
def test_anything_else_is_left_alone(call: str, reason: str) -> None:
    with pytest.raises(LeftAloneError, match=reason):
        find(f"{BEFORE}{call}\n", LINE)


def test_lines_that_end_in_different_ways_are_left_alone() -> None:
    with pytest.raises(LeftAloneError, match="lines that end in different ways"):
        find(f'{BEFORE}grid("a", """\r\n  select\n  """, update="a = 1")\n', LINE)


@pytest.mark.parametrize("name", ['a """ note', "a \\ note", "a \\n note", "a \\N note", 'a note"'])
def test_a_name_that_python_would_read_in_another_way_is_left_alone(name: str) -> None:
    source = f'{BEFORE}grid("a", """\n  select""", update="a = 1")\n'
    literal = find(source, LINE)
    with pytest.raises(LeftAloneError, match="a name in it cannot be written in the text of line 4"):
        with_text(source, literal, f"\n  select\n{name}")
