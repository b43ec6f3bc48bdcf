"""A suite that covers everything in the toy project, and the lines of its summary."""

from __future__ import annotations

import re

import pytest

SUITE = """\
import pytest

PERSONAS = ["alice", "bob", "visitor", "keeper"]


@pytest.mark.parametrize("persona", PERSONAS)
def test_function_and_view(db, persona):
    with db.acting_as(persona):
        for statement in ("SELECT shop.count_notes()", "SELECT * FROM shop.titles"):
            if persona in ("visitor", "guest"):
                with db.raises("42501"):
                    db.execute(statement)
            else:
                db.execute(statement)


def test_constraints(db):
    with db.raises("23505", constraint="notes_pkey"):
        db.execute("INSERT INTO shop.notes VALUES (1, 'alice')")
    with db.raises("23502", column="id"):
        db.execute("INSERT INTO shop.notes VALUES (NULL, 'alice')")
    with db.raises("23502", column="author"):
        db.execute("INSERT INTO shop.notes VALUES (3, NULL)")
    with db.raises("23514", constraint="short_body"):
        db.execute("INSERT INTO shop.notes VALUES (3, 'alice', 'much too long')")


def test_migrations(scratch):
    database = scratch()
    database.apply(1)
    database.verify(1)
    database.rollback(1)
"""


MEANING = re.compile(r"( of [\d,]+) {3,}(?!without).*")


def coverage_lines(result: pytest.RunResult) -> list[str]:
    """The lines of rolecall's section: the counts without what they mean, and the names of what is missing."""
    lines = result.stdout.lines
    (start,) = [number for number, line in enumerate(lines) if " rolecall " in line and line.startswith("---")]
    return [MEANING.sub(r"\1", line).rstrip() for line in lines[start + 2 :] if line.startswith("  ")]
