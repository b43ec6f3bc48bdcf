"""The file of ``--junit-xml``: it is what Jenkins reads, and has the cells by their names."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.rolecall.report.published import check_junit

BOB = "bob               -        !        -        -        -", "bob  yes  !  -?  -  -"


def cases(toy: pytest.Pytester, *options: str) -> dict[str, ElementTree.Element]:
    """The test cases of a run, by their names."""
    path = toy.path / "junit.xml"
    toy.runpytest_inprocess("--junit-xml", path.name, *options)
    check_junit(path)
    suite = ElementTree.parse(path).getroot()  # noqa: S314 - pytest has just written it
    found = {str(case.get("name")): case for case in suite.iter("testcase")}
    assert len(found) == len(list(suite.iter("testcase")))
    return found


def spoil(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")


def test_cells(toy: pytest.Pytester) -> None:
    """One that passes, one that fails with its explanation, and one that nobody has decided."""
    spoil(toy.path / "test_notes.py", BOB)
    found = cases(toy, "test_notes.py")
    passed = found["test_grid[alice's note-select-alice]"]
    assert (passed.get("classname"), list(passed)) == ("test_notes", [])
    failure = found["test_grid[alice's note-select-bob]"].find("failure")
    assert failure is not None
    assert str(failure.text).startswith('bob: select on "alice\'s note" of shop.notes\n  written     test_notes.py:9\n')
    output = found["test_grid[alice's note-update-bob]"].find("system-out")
    assert output is not None
    assert output.text == 'rolecall undecided: update on "alice\'s note" as bob is -?'


def test_what_xml_cannot_have(toy: pytest.Pytester) -> None:
    """Names with markup, quotes and a control character; an error that has one, too."""
    name = 'a <b> & \\"c\\" \\x01 é 漢'
    spoil(toy.path / "conftest.py", ('"alice\'s note"', f'"{name}"'))
    spoil(
        toy.path / "test_notes.py",
        ("alice's note", name.replace('\\"', '"').replace("\\x01", "\x01")),
        ("alice             yes", "alice             !"),
    )
    found = cases(toy, "test_notes.py")
    (one,) = (case for case in found.values() if case.find("failure") is not None)
    assert '<b> & "c"' in str(one.get("name"))


def test_mutants(toy: pytest.Pytester) -> None:
    options = ("--rolecall-mutants", "--rolecall-mutants-of", "own notes are read", "--rolecall-mutants-operator")
    found = cases(toy, *options, "policy-drop", "test_notes.py")
    (name, case) = found.popitem()
    assert name == 'shop.notes "own notes are read" | policy-drop | dropped'
    assert "rolecall mutant: killed" in str(case.findtext("system-out"))


def test_with_workers(toy: pytest.Pytester) -> None:
    spoil(toy.path / "test_notes.py", BOB)
    toy.runpytest_subprocess("-n", "2", "--junit-xml", "junit.xml", "test_notes.py")
    check_junit(toy.path / "junit.xml")
    assert (toy.path / "junit.xml").read_text(encoding="utf-8").count("rolecall undecided: ") == 1


def test_the_older_family_keeps_properties(toy: pytest.Pytester) -> None:
    spoil(toy.path / "test_notes.py", BOB)
    toy.runpytest_inprocess("--junit-xml", "junit.xml", "-o", "junit_family=xunit1", "test_notes.py")
    assert '<property name="rolecall undecided"' in (toy.path / "junit.xml").read_text(encoding="utf-8")
