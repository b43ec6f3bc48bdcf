"""The parts of the schemas in this folder."""

from __future__ import annotations

from typing import Any, NamedTuple

OWN = """
ALTER TABLE {t} ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON {t} TO toy_member, toy_keeper;
CREATE POLICY reads ON {t} FOR SELECT USING (author = shop.me());
CREATE POLICY writes ON {t} FOR INSERT WITH CHECK (author = shop.me());
CREATE POLICY changes ON {t} FOR UPDATE USING (author = shop.me());
CREATE POLICY deletes ON {t} FOR DELETE USING (author = shop.me());
"""
NOTES = "CREATE TABLE shop.notes (id int PRIMARY KEY, author text NOT NULL, body text);" + OWN.format(t="shop.notes")

# The verdicts for a table in which every persona has its own rows.
USUAL = """
                select   insert   update   delete
    alice's
      alice     yes      yes      yes      yes
      bob       -        !        -        -
      visitor   !        !        !        !
"""
HERS = {"id": 1, "author": "alice", "body": "hers"}


class Shape(NamedTuple):
    """A schema, a row of alice, and the verdicts of its grid."""

    sql: str
    verdicts: str = USUAL
    row: dict[str, Any] = HERS
    table: str = "shop.notes"
    options: dict[str, Any] = {}  # noqa: RUF012 - never changed
    more: tuple[tuple[str, dict[str, Any]], ...] = ()  # rows of other tables


def trigger(body: str, when: str = "BEFORE INSERT OR UPDATE OR DELETE", options: str = "") -> str:
    """A trigger on notes with a function of this body."""
    row = "" if "STATEMENT" in when else "FOR EACH ROW"
    return NOTES + (
        f"CREATE FUNCTION shop.acts() RETURNS trigger LANGUAGE plpgsql {options} AS $$ BEGIN {body} END $$;"
        f"CREATE TRIGGER acts {when} ON shop.notes {row} EXECUTE FUNCTION shop.acts();"
    )


def usual(alice: str, bob: str = "-  !  -  -", visitor: str = "!  !  !  !") -> str:
    """The verdicts of the three personas, as the text of a grid."""
    return f"select  insert  update  delete\nalice's\n  alice  {alice}\n  bob  {bob}\n  visitor  {visitor}\n"


RAISES = "RAISE EXCEPTION 'notes are kept' USING ERRCODE = '{}';"
LOG = "CREATE TABLE shop.log (id int); ALTER TABLE shop.log ENABLE ROW LEVEL SECURITY;"
