"""Objects in front of the right ones, for a function that looks names up in the search path of its caller."""

from collections.abc import Sequence

from rolecall import Session


def plant(db: Session, types: Sequence[str] = ("text", "uuid")) -> None:
    """Put objects in front of a search path: operators and functions that raise an error when they are called, and
    empty tables with the names of the tables that the functions use. ``types`` get another operator ``=``."""
    db.execute("CREATE SCHEMA planted")
    db.execute("GRANT USAGE ON SCHEMA planted TO PUBLIC")
    fails = "LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'wrong object'; END $$"
    for kind in types:
        db.execute(f"CREATE FUNCTION planted.equal({kind}, {kind}) RETURNS boolean {fails}")
        db.execute(f"CREATE OPERATOR planted.= (LEFTARG = {kind}, RIGHTARG = {kind}, FUNCTION = planted.equal)")
    db.execute(f"CREATE FUNCTION planted.now() RETURNS timestamptz {fails}")
    for table in (
        *("communication.notifications", "scheduling.operating_hours"),
        *("catalog.services", "audit.audit_logs", "scheduling.appointments", "communication.message_threads"),
    ):
        name = table.split(".")[1]
        db.execute(f"CREATE TABLE planted.{name} (LIKE {table})")
        db.execute(f"CREATE TEMPORARY TABLE {name} (LIKE {table})")
