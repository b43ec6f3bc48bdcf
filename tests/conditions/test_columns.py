"""The rows of the world differ in every column.

So a mistaken condition on any of them changes what some persona sees.
"""

from __future__ import annotations

from rolecall import Session
from rolecall.catalog.manifest import Manifest

COLUMNS = """
SELECT n.nspname || '.' || c.relname, quote_ident(attname), attnotnull, t.typcategory
FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
JOIN pg_type t ON t.oid = atttypid
WHERE n.nspname || '.' || c.relname = ANY (%s) AND attnum > 0 AND NOT attisdropped ORDER BY 1, attnum
"""
# What some row must have, by the category of the type, as pg_type.typcategory has it.
NEEDED = {
    "B": {"true": "{0}", "false": "NOT {0}"},
    "D": {"a time in the past": "{0} < now()", "a time in the future": "{0} > now()"},
    "N": {"a number above 0": "{0} > 0"},
    "S": {"a text of more than 50 characters": "length({0}) > 50", "a short text": "length({0}) < 50"},
}


def lacking(db: Session, tables: list[str]) -> list[str]:
    """Each column and what no row of its table has there."""
    found = []
    for table, column, not_null, category in db.rows(COLUMNS, [tables]):
        needed = (
            {"a value": "{0} IS NOT NULL"} | ({} if not_null else {"NULL": "{0} IS NULL"}) | NEEDED.get(category, {})
        )
        for what, condition in needed.items():
            if not db.value(f"SELECT EXISTS (SELECT FROM {table} WHERE {condition.format(column)})"):
                found.append(f"{table}.{column}: no row has {what}")
    return found


def test_the_rows_differ_in_every_column(db: Session, manifest: Manifest) -> None:
    tables = [table.full_name for table in manifest.of_kind("table")]
    assert len(tables) == 5
    assert lacking(db, tables) == []


def test_a_column_in_which_all_rows_agree_is_found(db: Session) -> None:
    db.execute("CREATE SCHEMA s")
    db.execute("CREATE TABLE s.t (number int NOT NULL, flag boolean, word text, moment timestamptz)")
    db.execute("INSERT INTO s.t VALUES (0, true, 'x', '2000-01-01'), (0, true, NULL, NULL)")
    assert lacking(db, ["s.t"]) == [
        "s.t.number: no row has a number above 0",
        "s.t.flag: no row has NULL",
        "s.t.flag: no row has false",
        "s.t.word: no row has a text of more than 50 characters",
        "s.t.moment: no row has a time in the future",
    ]
