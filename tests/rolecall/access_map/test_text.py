"""The text of a lock file: it says everything, and reading it gives the same access maps again."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rolecall.access_map import reader, text
from rolecall.errors import RolecallError
from rolecall.report.access import HEAD, Access, AccessMap, Attempt, ObjectAccess

# Names that the format could confuse with its own words and signs. No name of PostgreSQL is empty.
NAMES = st.one_of(
    st.sampled_from(
        [
            "alice",
            "alice may select",
            'a "quoted" one',
            "a, b",
            "a on b",
            "tried",
            "not tried",
            "a\nb",
            "-",
            "é",
            "\\",
            "  ",
        ]
    ),
    st.text(min_size=1, max_size=12).filter(lambda name: not re.search("[\ud800-\udfff]", name)),
)
WAYS = st.lists(st.sampled_from(["with RETURNING", "as an upsert", "without a condition"]), unique=True, max_size=2)
COMMANDS = st.one_of(st.sampled_from(["select", "insert", "update", "delete"]), NAMES)
ROWS = st.one_of(st.none(), st.integers(0, 3))
ACCESSES = st.builds(
    lambda without, columns, rows: Access(tuple(without), tuple(columns), rows),
    WAYS,
    st.lists(NAMES, unique=True, max_size=2),
    ROWS,
)
# The names of objects are those of the catalog, so they are in one line.
OBJECTS = st.sampled_from(["app.notes", "app.my notes", 'app."x"', "app.notes differs", "app.a  b"])


@st.composite
def maps(draw: st.DrawFn) -> dict[int, AccessMap]:
    """The access after all phases, and perhaps after the first."""
    personas = draw(st.dictionaries(NAMES, NAMES, min_size=1, max_size=3))
    access = {HEAD: AccessMap(personas, draw(objects(personas)))}
    return access | ({1: AccessMap(personas, draw(objects(personas)))} if draw(st.booleans()) else {})


@st.composite
def objects(draw: st.DrawFn, personas: dict[str, str]) -> dict[str, ObjectAccess]:
    """Tables with attempts."""
    found = {}
    for name in draw(st.lists(OBJECTS, unique=True, max_size=3)):
        attempts = {}
        for row, command in draw(st.lists(st.tuples(NAMES, COMMANDS), unique=True, max_size=3)):
            granted = draw(st.dictionaries(st.sampled_from(sorted(personas)), ACCESSES, max_size=2))
            attempts[Attempt(row, command)] = granted
        found[name] = ObjectAccess(name, "table", attempts)
    return found


# No limit of time: a slow machine is no failure.
@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(maps())
def test_reading_gives_what_was_written(access: dict[int, AccessMap]) -> None:
    written = text.write(access)
    assert reader.parse(written, "access.lock") == access
    assert text.write(reader.parse(written, "access.lock")) == written


NOTES = ObjectAccess(
    "app.notes",
    "table",
    {
        Attempt("alice's note", "select"): {"alice": Access(), "bob": Access(columns=("id",))},
        Attempt("alice's note", "insert"): {"alice": Access(without=("with RETURNING",))},
        Attempt("alice's note", "give to bob"): {},
    },
)
TITLES = ObjectAccess("app.titles", "view", {Attempt("", "select"): {"bob": Access(rows=3)}})
CALLS = ObjectAccess("app.me()", "function", {Attempt("", "call"): {"alice": Access()}})
PERSONAS = {"alice": "app_user", "bob": "app_user"}


def of(*items: ObjectAccess) -> AccessMap:
    return AccessMap(PERSONAS, {item.name: item for item in items})


def lines(access: dict[int, AccessMap]) -> list[str]:
    """The lines without checksums, comments and empty ones."""
    written = re.sub(r"  [0-9a-f]{8}$", "", text.write(access), flags=re.MULTILINE)
    return [line for line in written.splitlines() if line and not line.startswith("#")]


def test_each_access_is_a_sentence() -> None:
    assert lines({HEAD: of(NOTES, TITLES, CALLS)}) == [
        "format 1",
        "persona alice has the role app_user",
        "persona bob has the role app_user",
        "function app.me()",
        "  tried call",
        "  alice may call app.me()",
        "table app.notes",
        '  tried select, insert, "give to bob" on "alice\'s note"',
        '  alice may select "alice\'s note" of app.notes',
        '  bob may select "alice\'s note" of app.notes, only the columns id',
        '  alice may insert "alice\'s note" of app.notes, but not with RETURNING',
        "view app.titles",
        "  tried select",
        "  bob may select from app.titles, 3 rows",
    ]


def test_an_earlier_phase_has_what_differs_from_all_phases() -> None:
    before = ObjectAccess(
        "app.notes", "table", {**NOTES.attempts, Attempt("alice's note", "select"): {"bob": Access()}}
    )
    assert lines({HEAD: of(NOTES, CALLS), 1: of(before)})[-5:] == [
        "after phase 1, these do not exist",
        "  function app.me()",
        "after phase 1, other access to table app.notes",
        '  alice may not select "alice\'s note" of app.notes',
        '  bob may select "alice\'s note" of app.notes',
    ]


WHOLE = text.write({HEAD: of(NOTES, TITLES)})


@pytest.mark.parametrize(
    ("edited", "error"),
    [
        pytest.param(
            WHOLE.replace("alice may select", "bob may select"),
            r"access.lock:8: the lines of app.notes were edited: run pytest --rolecall-update, which writes it again\.",
            id="another persona",
        ),
        pytest.param(
            WHOLE.replace("  bob may select from app.titles, 3 rows\n", ""),
            "access.lock:14: the lines of app.titles were edited: ",
            id="a line removed",
        ),
        pytest.param(
            WHOLE.replace("table app.notes", "<<<<<<< HEAD\ntable app.notes"),
            "access.lock:8: a conflict of a merge is not resolved: ",
            id="a conflict",
        ),
        pytest.param("", "access.lock:1: a lock file begins with 'format 1'; ", id="empty"),
        pytest.param(
            WHOLE.replace("format 1", "format 2"), "access.lock:3: a lock file begins with 'format 1'", id="format"
        ),
        pytest.param(WHOLE + "hello\n", r"access.lock:\d+: not a line of a lock file: 'hello': ", id="another line"),
    ],
)
def test_an_edited_file_is_an_error_with_its_line(tmp_path: Path, edited: str, error: str) -> None:
    path = tmp_path / "access.lock"
    path.write_text(edited, encoding="utf-8")
    with pytest.raises(RolecallError, match=error):
        reader.read(path)
