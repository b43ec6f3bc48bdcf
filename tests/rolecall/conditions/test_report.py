"""Conditions that decide and conditions that do not, in small schemas with small worlds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from rolecall import RolecallError, World
from rolecall.catalog.definitions import read
from rolecall.conditions.report import Conditions
from rolecall.conditions.subjects import Subject, Subjects
from rolecall.worker import Worker

Project = Callable[[str, World], Worker]

NOTES = """
CREATE TABLE shop.notes (id int PRIMARY KEY, author text, hidden bool NOT NULL DEFAULT false);
ALTER TABLE shop.notes ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON shop.notes TO toy_member, toy_keeper;
"""
OWN = f'{NOTES} CREATE POLICY "own notes" ON shop.notes TO toy_member USING (author = shop.me() AND NOT hidden);'
NAME = 'shop.notes "own notes" USING'


def world_with(**authors: str | None) -> World:
    """A world with two people, one without a subject, and a note of each name."""
    world = World()
    world.persona("alice", "toy_member", subject="alice")
    world.persona("bob", "toy_member", subject="bob")
    world.persona("nobody", "toy_member")
    world.persona("keeper", "toy_keeper")
    for number, (name, author) in enumerate(authors.items()):
        world.add("shop.notes", name, id=number, author=author, hidden=name.startswith("hidden"))
    return world


@contextmanager
def conditions_of(worker: Worker) -> Iterator[tuple[Conditions, list[str]]]:
    """The conditions of a project, and the names of those that were recorded."""
    decided: list[str] = []
    with worker.rolled_back_scratch(migrated=True) as scratch:
        schema = read(scratch.connection, worker.manifest, worker.world, ())
        yield Conditions(scratch.connection, schema, worker.world, lambda _, name: decided.append(name)), decided


def test_a_complete_world(project: Project) -> None:
    with conditions_of(project(OWN, world_with(note="alice", hidden="alice", of_nobody=None))) as (conditions, decided):
        conditions.check("policies")
    assert decided == [
        f"{NAME} | author = shop.me() | false never decides",
        f"{NAME} | hidden | false never decides",
        f"{NAME} | author = shop.me() | true never decides",
        f"{NAME} | hidden | true never decides",
        f"{NAME} | author = shop.me() | NULL never decides",
    ]


def test_a_condition_that_sql_cannot_do_without_shows_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    policies = Subjects.policies

    def without_variants(self: Subjects) -> Iterator[Subject]:
        for each in policies(self):
            right = {each.original: each.install(each.original)}
            yield replace(each, install=defaultdict(lambda: ["SELECT nonsense"], right).__getitem__)

    monkeypatch.setattr(Subjects, "policies", without_variants)
    with (
        conditions_of(project(OWN, world_with(note="alice", hidden="alice", of_nobody=None))) as (conditions, decided),
        pytest.raises(AssertionError) as error,
    ):
        conditions.check("policies")
    assert decided == []
    assert str(error.value).split("\n")[:3] == [
        f"{NAME} | author = shop.me() | false never decides",
        '    It cannot be tried: the server does not accept the SQL without it: 42703 column "nonsense" does not exist',
        "    Give that as the reason in cannot_decide.",
    ]


def test_a_row_that_is_not_there_is_proposed(project: Project) -> None:
    world = world_with(note="alice", of_nobody=None)
    with (
        conditions_of(project(OWN, world)) as (conditions, _),
        pytest.raises(AssertionError) as error,
    ):
        conditions.check("policies")
    row = """world.add("shop.notes", "…", **{**world.row("shop.notes", "note"), "id": 1000003, "hidden": True})"""
    assert str(error.value).split("\n") == [
        f"{NAME} | hidden | true never decides",
        "    No row and persona for which this is true and matters: with false in its place, nothing changes.",
        "    With this row it decides:",
        f"        {row}",
    ]
    eval(row, {"world": world})  # noqa: S307  # it is code that runs
    assert world.row("shop.notes", "…") == {"id": 1000003, "author": "alice", "hidden": True}


def test_a_condition_that_cannot_decide_is_declared_with_a_reason(project: Project) -> None:
    hidden = f"{NAME} | hidden | true never decides"
    with conditions_of(project(OWN, world_with(note="alice", of_nobody=None))) as (conditions, _):
        conditions.check("policies", cannot_decide={hidden: "no client hides notes yet"})
        with pytest.raises(AssertionError, match="Give a reason"):
            conditions.check("policies", cannot_decide={hidden: " "})


def test_a_wrong_declaration_fails(project: Project) -> None:
    declared = {
        f"{NAME} | hidden | true never decides": "why not",
        f"{NAME} | shown | true never decides": "why not",
    }
    world = world_with(note="alice", hidden="alice", of_nobody=None)
    with conditions_of(project(OWN, world)) as (conditions, _), pytest.raises(AssertionError) as error:
        conditions.check("policies", cannot_decide=declared)
    assert str(error.value).split("\n") == [
        f"{NAME} | hidden | true never decides",
        "    It does decide: remove it from cannot_decide.",
        "",
        f"{NAME} | shown | true never decides",
        "    There is no such condition: remove it from cannot_decide.",
    ]


def test_views_as_their_readers_see_them(project: Project) -> None:
    sql = f"""{NOTES} CREATE POLICY everybody ON shop.notes USING (true);
        CREATE VIEW shop.shown WITH (security_invoker = true) AS SELECT id FROM shop.notes WHERE NOT hidden;
        GRANT SELECT ON shop.shown TO toy_member;"""
    with conditions_of(project(sql, world_with(note="alice", hidden="bob"))) as (conditions, decided):
        conditions.check("views")
    assert decided == [f"shop.shown | hidden | {value} never decides" for value in ("false", "true")]


FUNCTIONS = f"""{NOTES}
CREATE FUNCTION shop.count_of(p_author text) RETURNS bigint LANGUAGE sql STABLE
  RETURN (SELECT count(*) FROM shop.notes WHERE author = p_author);
CREATE FUNCTION shop.hide(p_id int) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF shop.me() IS NULL THEN
    RAISE EXCEPTION 'who are you?';
  END IF;
  UPDATE shop.notes SET hidden = true WHERE id = p_id;
END
$$;
"""


def test_functions_are_called_with_values_of_the_world(project: Project) -> None:
    # hide() returns nothing: the number of rows that it writes is part of its result.
    sql = f"{FUNCTIONS} CREATE POLICY everybody ON shop.notes USING (true);"
    with conditions_of(project(sql, world_with(note="alice", of_bob="bob", of_nobody=None))) as (conditions, decided):
        conditions.check("functions")
    assert decided == [
        *(
            f"shop.count_of() | notes.author = count_of.p_author | {value} never decides"
            for value in ("false", "true", "NULL")
        ),
        *(f"shop.hide() | shop.me() IS NULL | {value} never decides" for value in ("false", "true")),
        *(f"shop.hide() | id = p_id | {value} never decides" for value in ("false", "true", "NULL")),
    ]


def test_a_result_that_is_random_decides_nothing(project: Project) -> None:
    sql = """
        CREATE FUNCTION shop.token() RETURNS uuid LANGUAGE plpgsql AS $$
        BEGIN
          IF shop.me() = 'carol' THEN
            RETURN gen_random_uuid();
          END IF;
          RETURN gen_random_uuid();
        END
        $$;
    """
    worker = project(NOTES + sql, world_with(note="alice"))
    with conditions_of(worker) as (conditions, _), pytest.raises(AssertionError) as error:
        conditions.check("functions")
    names = [line for line in str(error.value).split("\n") if line.endswith("never decides")]
    assert names == [
        f"shop.token() | shop.me() = 'carol' | {value} never decides" for value in ("false", "true", "NULL")
    ]


def test_an_error_of_another_table_decides_nothing(project: Project) -> None:
    sql = f"""{NOTES}
        CREATE TABLE shop.secrets (word text);
        CREATE POLICY "with secrets" ON shop.notes USING (EXISTS (SELECT FROM shop.secrets));
    """
    worker = project(sql, world_with(note="alice"))
    with conditions_of(worker) as (conditions, decided), pytest.raises(AssertionError, match="EXISTS"):
        conditions.check("policies")
    assert decided == []


TRIGGER = f"""{NOTES}
CREATE POLICY everybody ON shop.notes USING (true);
GRANT UPDATE ON shop.notes TO toy_member;
CREATE FUNCTION shop.keep_author() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF new.author IS DISTINCT FROM old.author THEN
    RAISE EXCEPTION 'the author of a note cannot change';
  END IF;
  RETURN new;
END
$$;
CREATE TRIGGER keep_author BEFORE UPDATE ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.keep_author();
"""


def test_the_function_of_a_trigger_needs_statements(project: Project) -> None:
    with conditions_of(project(TRIGGER, world_with(note="alice"))) as (conditions, decided):
        with pytest.raises(AssertionError) as error:
            conditions.check("functions")
        conditions.check(
            "functions",
            calls={"shop.keep_author": ["UPDATE shop.notes SET author = 'x'", "UPDATE shop.notes SET hidden = true"]},
        )
    assert str(error.value).split("\n") == [
        "shop.keep_author(): 2 conditions were not tried, because nothing calls this function.",
        "    Give statements that do: calls={'shop.keep_author': […]}",
    ]
    assert len(decided) == 2


def test_wrong_arguments(project: Project) -> None:
    with conditions_of(project(TRIGGER, world_with(note="alice"))) as (conditions, _):
        with pytest.raises(RolecallError, match="there are no conditions of 'tables'; write one of 'policies', 'view"):
            conditions.check("tables")  # type: ignore[arg-type]
        with pytest.raises(RolecallError, match='calls= is for "functions", not'):
            conditions.check("views", calls={"shop.f": []})
        with pytest.raises(RolecallError, match=r"'shop\.f', which is no function"):
            conditions.check("functions", calls={"shop.f": []})


def test_the_fixture_and_the_count(toy: pytest.Pytester) -> None:
    toy.makepyfile(
        test_a="""
        def test_policies(rolecall_conditions):
            rolecall_conditions.check("policies")
        """
    )
    result = toy.runpytest_inprocess("test_a.py", "--rolecall-coverage")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*own notes are changed* | author = shop.me() | NULL never decides"])
    result.stdout.no_fnmatch_line("*conditions that decide*")
    policy = "own notes are changed"
    toy.makepyfile(
        test_a=f"""
        def test_policies(rolecall_conditions):
            name = 'shop.notes "{policy}" USING | author = shop.me() | NULL never decides'
            rolecall_conditions.check("policies", cannot_decide={{name: "visitor may not read"}})
        """
    )
    result = toy.runpytest_inprocess("test_a.py", "--rolecall-coverage")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["  conditions that decide *2 of 2*"])
