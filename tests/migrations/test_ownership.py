"""Nothing that somebody else made is replaced or removed: a step and a rollback stop, name it, and change nothing.

Each object of the migrations stands in its place before its step, in several forms. test_shapes.py does it for columns,
constraints and indexes. test_orders.py has a database in which many objects of others stand at once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import postgast
import pytest

from rolecall.database.scratch import Scratch
from rolecall.errors import SqlError
from rolecall.settings import read as read_settings
from rolecall.sql.migrations import read
from tests.migrations.helpers import DISCARD, as_owner, everything, roll_back_to, step_path

WithoutStep = Callable[[int, str], Scratch]


class Created(NamedTuple):
    """An object that a step creates; ``table`` is the one that it belongs to, or ""."""

    phase: int
    step: str
    kind: str
    name: str
    table: str

    def __str__(self) -> str:
        return f"{self.step} {self.kind} {self.name}"


def created(path: Path, phase: int, step: str) -> Iterator[Created]:
    """What a step creates, in its order."""
    for raw in postgast.parse(path.read_text(encoding="utf-8")).stmts:
        kind = raw.stmt.WhichOneof("node")
        statement = getattr(raw.stmt, kind)
        if kind == "create_function_stmt":
            yield Created(phase, step, "function", ".".join(each.string.sval for each in statement.funcname), "")
        elif kind == "view_stmt":
            yield Created(phase, step, "view", relation(statement.view), "")
        elif kind == "create_stmt":
            yield Created(phase, step, "table", relation(statement.relation), "")
        elif kind == "create_trig_stmt":
            yield Created(phase, step, "trigger", statement.trigname, relation(statement.relation))
        elif kind == "create_policy_stmt":
            yield Created(phase, step, "policy", statement.policy_name, relation(statement.table))


def relation(node: Any) -> str:
    """The qualified name of a RangeVar."""
    return f"{node.schemaname}.{node.relname}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each object of a kind, in each form that it may have."""
    folder = read_settings(metafunc.config).migrations
    assert folder
    objects = [
        each
        for phase in read(folder)
        for step in phase.steps
        for each in created(step.path, phase.number, str(step).split()[0])
    ]
    for fixture, kinds, forms in (
        ("function", ("function",), FUNCTION_FORMS),
        ("view", ("view",), VIEW_FORMS),
        ("part", ("policy", "trigger", "table"), [""]),
        ("trigger", ("trigger",), [""]),
    ):
        if fixture in metafunc.fixturenames:
            names = [fixture, "form"] if "form" in metafunc.fixturenames else [fixture]
            cases = [(each, form)[: len(names)] for each in objects if each.kind in kinds for form in forms]
            metafunc.parametrize(names, cases, ids=["-".join(map(str, case)) for case in cases])
    if "first_of_step" in metafunc.fixturenames:
        first = {each.step: each for each in reversed(objects)}
        metafunc.parametrize("first_of_step", first.values(), ids=map(str, first.values()))


def stopped(scratch: Scratch, number: str) -> str:
    """The error of a step that must stop at an object of somebody else, and must have changed nothing."""
    before = everything(scratch.connection)
    with pytest.raises(SqlError, match="exists in another form") as excinfo:
        scratch.execute(step_path(scratch, number))
    assert everything(scratch.connection) == before
    assert excinfo.value.sqlstate == "42P16"
    assert (
        "Nothing has been changed. Rename it if it is yours, or remove it if nobody needs it, and run this again."
        in str(excinfo.value)
    )
    return str(excinfo.value)


def survives_the_rollback(bare: Scratch, scratch: Scratch, phase: int, name: str) -> None:
    """The rollback of the phase stops and names the object; with the setting it keeps it, and removes the rest.

    ``bare`` has the object alone, ``scratch`` also what the other steps of the phase create.
    """
    before, applied = everything(bare.connection), everything(scratch.connection)
    with pytest.raises(SqlError, match=f"phase {phase} is not rolled back, because some objects are not as") as excinfo:
        scratch.rollback(phase)
    assert f"\n- {name}: " in str(excinfo.value)
    assert everything(scratch.connection) == applied
    scratch.connection.execute("SET LOCAL enorae.keep_others = 'on'")
    scratch.rollback(phase)
    assert everything(scratch.connection) == before


# ------------------------------------------------------------------ functions

# How the function that stands there differs from that of the migrations.
FUNCTION_FORMS = (
    *("another body", "another result", "another name for a parameter", "an overload"),
    *("the other SECURITY", "no search path", "another volatility", "not called on NULL"),
)


def put_function(scratch: Scratch, migrated: Scratch, name: str, form: str) -> None:
    """Create a function of the migrations in another form, where it does not exist."""
    ((definition, arguments, is_definer),) = migrated.connection.execute(
        "SELECT pg_get_functiondef(oid), pg_get_function_arguments(oid), prosecdef "
        "FROM pg_proc WHERE oid = %s::regproc",
        [name],
    )
    heads = {
        "another result": f"{name}({arguments}) RETURNS text",
        "another name for a parameter": f"{name}({re.sub('p_[a-z_]+', 'stray', arguments, count=1)}) RETURNS int",
        "an overload": f"{name}(stray boolean) RETURNS int",
    }
    changes = {
        "the other SECURITY": "SECURITY INVOKER" if is_definer else "SECURITY DEFINER",
        "no search path": "RESET search_path",
        "another volatility": "IMMUTABLE",
        "not called on NULL": "STRICT",
    }
    scratch.connection.execute("SET LOCAL check_function_bodies = off")  # the tables do not exist yet
    if form in heads:
        as_owner(scratch, f"CREATE FUNCTION {heads[form]} LANGUAGE sql AS 'SELECT 1'")
    elif form in changes:
        as_owner(scratch, f"{definition}; ALTER FUNCTION {name} {changes[form]}")
    else:
        as_owner(scratch, definition.replace("AS $function$", "AS $function$\n-- Ours.", 1))


def test_a_step_stops_at_a_function_of_somebody_else(
    bare: Scratch, migrated: Scratch, without_step: WithoutStep, function: Created, form: str
) -> None:
    put_function(bare, migrated, function.name, form)
    message = stopped(bare, function.step)
    assert re.search(rf'{function.name}\b.* exists in another form: expected "(.+)", found "(?!\1").+"', message)
    applied = without_step(function.phase, function.step)
    put_function(applied, migrated, function.name, form)
    survives_the_rollback(bare, applied, function.phase, function.name)


# ------------------------------------------------------------------ views

VIEW_FORMS = ("another query", "other columns", "a table", "not security_invoker")


def put_view(scratch: Scratch, migrated: Scratch, view: Created, form: str) -> None:
    """Create a view of the migrations in another form, where it does not exist."""
    query = "SELECT 1 AS stray"
    if form in ("another query", "a table"):  # with the same columns
        columns = "format('NULL::%%s AS %%I', format_type(atttypid, atttypmod), attname)"
        ((columns,),) = migrated.connection.execute(
            f"SELECT string_agg({columns}, ', ' ORDER BY attnum) "
            "FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0",
            [view.name],
        )
        query = f"SELECT {columns}"
    if form == "not security_invoker":
        ((query,),) = migrated.connection.execute("SELECT pg_get_viewdef(%s::regclass)", [view.name])
    if form == "not security_invoker" or view.step == "3.1":  # their tables
        scratch.apply(1)
        as_owner(scratch, f"DROP VIEW IF EXISTS {view.name}")
    kind = "TABLE {}" if form == "a table" else "VIEW {} WITH (security_invoker = true)"
    if form == "not security_invoker":
        kind = "VIEW {}"
    as_owner(scratch, f"CREATE {kind.format(view.name)} AS {query}")


def test_a_step_stops_at_a_view_of_somebody_else(
    bare: Scratch, migrated: Scratch, without_step: WithoutStep, view: Created, form: str
) -> None:
    put_view(bare, migrated, view, form)
    assert f"{view.name} exists in another form" in stopped(bare, view.step)
    if view.step != "3.1" and form != "not security_invoker":
        applied = without_step(view.phase, view.step)
        put_view(applied, migrated, view, form)
        survives_the_rollback(bare, applied, view.phase, view.name)


@pytest.mark.parametrize("kind", ["function", "view"])
def test_a_step_stops_at_a_comment_of_somebody_else(migrated: Scratch, kind: str) -> None:
    """Where the step writes a comment itself. A missing comment is added."""
    commented = re.compile(rf"^COMMENT ON {kind.upper()} (\S+?)(?:\(.*\))? IS$", re.MULTILINE)
    steps = [
        (str(step).split()[0], name)
        for phase in migrated.phases.values()
        for step in phase.steps
        for name in commented.findall(step.path.read_text(encoding="utf-8"))
    ]
    assert len(steps) == {"function": 7, "view": 6}[kind]
    for number, name in steps:
        for comment, is_stopped in (("'Ours.'", True), ("NULL", False)):
            with migrated.connection.transaction(force_rollback=True):
                as_owner(migrated, f"COMMENT ON {kind} {name} IS {comment}")
                if is_stopped:
                    assert 'found "Ours."' in stopped(migrated, number)
                else:
                    migrated.execute(step_path(migrated, number))
                    migrated.verify(int(number[0]))


def test_no_comment_of_somebody_else_is_lost(migrated: Scratch, part: Created) -> None:
    """Where the step writes none. It creates its policies and triggers again, which would remove their comments.

    The rollback would remove all of them."""
    table = part.table or part.name
    parts = {f"{part.kind} {part.name}": f'{part.kind} "{part.name}" ON {table}'}
    if part.kind == "table":
        schema = table.split(".")[0]
        index, constraint = migrated.connection.execute(
            "SELECT min(indexname), min(conname) FROM pg_indexes, pg_constraint "
            "WHERE format('%%I.%%I', schemaname, tablename) = %(table)s AND conrelid = %(table)s::regclass",
            {"table": table},
        ).fetchone() or ("", "")
        parts = {
            "column id": f"COLUMN {table}.id",
            f"index {index}": f"INDEX {schema}.{index}",
            f"constraint {constraint}": f"CONSTRAINT {constraint} ON {table}",
        }
    with migrated.connection.transaction(force_rollback=True):
        as_owner(migrated, "; ".join(f"COMMENT ON {each} IS 'Ours.'" for each in parts.values()))
        before = everything(migrated.connection)
        if part.kind == "table":
            migrated.execute(step_path(migrated, part.step))
        else:
            message = stopped(migrated, part.step).replace('"', "")
            comment = f"comment of {part.kind} {part.name} on {table}"
            assert f"{comment} exists in another form: expected none, found Ours." in message
        assert everything(migrated.connection) == before
        migrated.verify(part.phase)
        roll_back_to(migrated, part.phase)
        migrated.connection.execute(DISCARD)
        with pytest.raises(SqlError, match="some objects are not as its steps create them") as excinfo:
            migrated.rollback(part.phase)
        lines = re.findall(r"^- (.+?)(?: \(55000\))?$", str(excinfo.value).replace('"', ""), re.MULTILINE)
        assert lines == sorted(f"{table}: comment of {each}: expected none, found Ours." for each in parts)
        migrated.connection.execute("SET LOCAL enorae.keep_others = 'on'")
        for number in range(part.phase, 0, -1):
            migrated.rollback(number)
        kept = {name: text for name, text in before[0].items() if text == "Ours."}
        assert len(kept) == len(parts)
        assert kept.items() <= everything(migrated.connection)[0].items()


# ------------------------------------------------------------------ policies, triggers and tables of the migrations


def change_of(part: Created) -> str:
    """A statement that changes an object of the migrations."""
    if part.kind == "function":
        return f"ALTER FUNCTION {part.name} IMMUTABLE"
    if part.kind == "view":
        return f"ALTER VIEW {part.name} RESET (security_invoker)"
    if part.kind == "policy":
        return f'ALTER POLICY "{part.name}" ON {part.table} TO service_role'
    if part.kind == "trigger":
        return f"ALTER TABLE {part.table} DISABLE TRIGGER {part.name}"
    return f"ALTER TABLE {part.name} DISABLE ROW LEVEL SECURITY"


def test_a_step_stops_with_any_search_path(migrated: Scratch, first_of_step: Created) -> None:
    """PostgreSQL writes the names of objects on the search path without their schemas."""
    path = "audit, catalog, communication, engagement, identity, organization, scheduling, storage, auth"
    with migrated.connection.transaction(force_rollback=True):
        as_owner(migrated, change_of(first_of_step))
        migrated.connection.execute("SELECT set_config('search_path', %s, true)", [path])
        stopped(migrated, first_of_step.step)


def test_a_step_stops_at_a_part_that_somebody_changed(migrated: Scratch, part: Created) -> None:
    """Also the step that has created it: a change that somebody made is not undone silently."""
    with migrated.connection.transaction(force_rollback=True):
        as_owner(migrated, change_of(part))
        message = stopped(migrated, part.step)
        assert (
            f"{part.name} exists in another form" in message
            or f"{part.name} on {part.table} exists" in message.replace('"', "")
        )
        migrated.connection.execute("SET LOCAL enorae.discard_data = 'on'")
        before = everything(migrated.connection)
        for later in range(4, part.phase, -1):
            migrated.rollback(later)
        with pytest.raises(SqlError, match="some objects are not as its steps create them") as excinfo:
            migrated.rollback(part.phase)
        assert f"\n- {part.table or part.name}: " in str(excinfo.value)
        migrated.connection.execute("SET LOCAL enorae.keep_others = 'on'")
        for phase in range(part.phase, 0, -1):
            migrated.rollback(phase)
        remaining = everything(migrated.connection)
        table = part.table or part.name
        whole = f'policy "{part.name}" on {table}' if table == "storage.objects" else table
        kept = {name: text for name, text in before[0].items() if is_of(name, whole)}
        assert kept
        assert kept.items() <= remaining[0].items()
        assert table == "storage.objects" or remaining[1][table] == before[1][table]


@pytest.mark.parametrize("state", ["DISABLE", "ENABLE REPLICA", "ENABLE ALWAYS"])
def test_a_trigger_that_does_not_fire_as_usual_stops_its_step_and_its_rollback(
    migrated: Scratch, trigger: Created, state: str
) -> None:
    as_owner(migrated, f"ALTER TABLE {trigger.table} {state} TRIGGER {trigger.name}")
    assert f"trigger {trigger.name} on {trigger.table} exists in another form" in stopped(migrated, trigger.step)
    roll_back_to(migrated, trigger.phase)
    migrated.connection.execute(DISCARD)
    with pytest.raises(SqlError, match=rf"\n- {trigger.table}: trigger {trigger.name}: .* not enabled as usual"):
        migrated.rollback(trigger.phase)


def is_of(name: str, whole: str) -> bool:
    """Whether an object is a table or a policy with this name, or a part of the table."""
    return name in (whole, f"table {whole}") or name.endswith(
        (f" of table {whole}", f" on table {whole}", f" on {whole}")
    )


# ------------------------------------------------------------------ storage

THE_STORAGE_STEP = "1.5"


@pytest.mark.parametrize(
    "name",
    [
        "Authenticated users can view avatars",
        "Users can upload their own avatars",
        "Users can update their own avatars",
        "Users can delete their own avatars",
    ],
)
def test_a_step_stops_at_a_policy_on_storage_of_somebody_else(
    bare: Scratch, without_step: WithoutStep, name: str
) -> None:
    policy = f"CREATE POLICY \"{name}\" ON storage.objects FOR SELECT TO anon USING (bucket_id = 'pictures')"
    as_owner(bare, policy)
    message = stopped(bare, THE_STORAGE_STEP)
    assert f'policy "{name}" on storage.objects exists in another form: expected "PERMISSIVE FOR ' in message
    assert 'found "PERMISSIVE FOR SELECT TO anon"' in message
    applied = without_step(1, THE_STORAGE_STEP)
    as_owner(applied, policy)
    survives_the_rollback(bare, applied, 1, "storage.objects")


@pytest.mark.parametrize(
    ("bucket", "difference"),
    [
        ("'avatars', 'avatars', true, 5242880", "public is true, must be false"),
        ("'avatars', 'avatars', false, NULL", "file_size_limit is not set, must be 5242880"),
        ("'avatars', 'pictures', false, 5242880", "name is pictures, must be avatars"),
        ("'pictures', 'avatars', false, 5242880", "id is pictures, must be avatars"),
    ],
    ids=["public", "without a limit", "of another name", "of another id"],
)
def test_a_step_stops_at_a_bucket_of_somebody_else(bare: Scratch, bucket: str, difference: str) -> None:
    with bare.connection.transaction(force_rollback=True):
        as_owner(bare, f"INSERT INTO storage.buckets (id, name, public, file_size_limit) VALUES ({bucket})")
        before = everything(bare.connection)
        with pytest.raises(SqlError, match=f"the bucket avatars exists with other settings: {difference}") as excinfo:
            bare.execute(step_path(bare, THE_STORAGE_STEP))
        assert excinfo.value.sqlstate == "55000"
        bare.rollback(1)
        assert everything(bare.connection) == before


def test_a_rollback_of_nothing_needs_no_right_on_the_schema_of_somebody_else(bare: Scratch) -> None:
    """It comments on the schema only if a step has done so."""
    with bare.connection.transaction(force_rollback=True):
        bare.connection.execute(
            "CREATE ROLE somebody; GRANT somebody TO postgres; ALTER SCHEMA audit OWNER TO somebody"
        )
        bare.connection.execute("REVOKE somebody FROM postgres; GRANT USAGE ON SCHEMA audit TO postgres")
        bare.connection.execute("COMMENT ON SCHEMA audit IS 'Theirs.'")
        before = everything(bare.connection)
        bare.rollback(1)
        assert everything(bare.connection) == before


def test_a_bucket_that_somebody_changed_stops_the_rollback(bare: Scratch) -> None:
    with bare.connection.transaction(force_rollback=True):
        before = everything(bare.connection)
        bare.apply(1)
        as_owner(bare, "UPDATE storage.buckets SET file_size_limit = 10485760 WHERE id = 'avatars'")
        with pytest.raises(SqlError, match=r"bucket avatars: file_size_limit: expected 5242880, found 10485760"):
            bare.rollback(1)
        bare.connection.execute("SET LOCAL enorae.keep_others = 'on'")
        bare.rollback(1)
        after = everything(bare.connection)
        assert after[0] == before[0]
        assert len(after[1]["storage.buckets"]) == len(before[1]["storage.buckets"]) + 1


# ------------------------------------------------------------------ further parts of the tables


@pytest.mark.parametrize(
    "addition",
    [
        pytest.param(addition, id=what)
        for what, addition in {
            "an index": "CREATE INDEX ours ON audit.audit_logs (reason)",
            "a policy": "CREATE POLICY ours ON audit.audit_logs FOR SELECT TO service_role USING (true)",
            "a trigger": "CREATE TRIGGER ours BEFORE UPDATE ON audit.audit_logs FOR EACH ROW "
            "EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "a constraint": "ALTER TABLE audit.audit_logs ADD CONSTRAINT ours CHECK (reason <> '')",
            "a column": "ALTER TABLE audit.audit_logs ADD ours text",
            "a rule": "CREATE RULE ours AS ON DELETE TO audit.audit_logs DO INSTEAD NOTHING",
            "a comment": "COMMENT ON TABLE audit.audit_logs IS 'ours'",
            "a grant to a role of the API": "GRANT SELECT (id) ON audit.audit_logs TO anon -- ours",
        }.items()
    ],
)
def test_what_somebody_added_to_a_table_stops_the_rollback(after: Callable[..., Scratch], addition: str) -> None:
    """DROP TABLE would remove it too."""
    database = after(1)
    database.connection.execute(addition.encode())
    before = everything(database.connection)
    with pytest.raises(SqlError, match=r"\n- audit\.audit_logs: ") as excinfo:
        database.rollback(1)
    assert "found none" not in str(excinfo.value)
    assert everything(database.connection) == before


@pytest.mark.parametrize(
    "addition",
    [
        pytest.param("GRANT SELECT ON audit.audit_logs TO authenticator", id="a grant to another role"),
        pytest.param("CREATE POLICY logos ON storage.objects USING (bucket_id = 'logos')", id="a policy on storage"),
        pytest.param("GRANT USAGE ON SCHEMA audit TO anon", id="a grant on a schema"),
    ],
)
def test_what_does_not_stop_the_rollback(after: Callable[..., Scratch], addition: str) -> None:
    """A grant to another role, which default privileges may have made; and what the rollback does not touch."""
    database = after(1)
    database.connection.execute(addition.encode())
    database.rollback(1)
