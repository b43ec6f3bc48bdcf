"""What a persona can do, and what decides: each kind of cause, and objects with and without grids and rows."""

from __future__ import annotations

import pytest

from rolecall import World
from rolecall.ask import text
from rolecall.ask.answer import Answer
from rolecall.ask.project import Project
from rolecall.ask.questions import explain, who
from rolecall.errors import RolecallError
from tests.rolecall.ask.conftest import Ask

NOTES = "shop.notes"


def one(project: Project, command: str, persona: str, row: str | None = "alice's note", name: str = NOTES) -> Answer:
    (answer,) = explain(project, name, command, persona, row, None)
    return answer


def causes(answer: Answer) -> list[tuple[str, str]]:
    return [(each.kind, each.name) for each in answer.decides]


@pytest.mark.parametrize(
    ("persona", "command", "verdict", "expected"),
    [
        ("alice", "select", "yes", [("privilege", "SELECT"), ("policy", "own notes are read")]),
        ("bob", "select", "-", [("policy", "own notes are read")]),
        ("bob", "insert", "!", [("policy", "own notes are written")]),
        ("bob", "update", "-", [("policy", "own notes are changed")]),
        ("alice", "hand over", "!", [("policy", "own notes are changed")]),
        ("visitor", "select", "!", [("privilege", "SELECT")]),
        ("visitor", "delete", "!", [("privilege", "DELETE")]),
        ("keeper", "delete", "yes", [("privilege", "DELETE"), ("role", "toy_keeper")]),
    ],
)
def test_what_decides(
    toy_project: Project, persona: str, command: str, verdict: str, expected: list[tuple[str, str]]
) -> None:
    answer = one(toy_project, command, persona)
    assert answer.verdict == verdict
    assert not answer.differs
    assert set(expected) <= set(causes(answer))
    assert answer.change


def test_where_a_policy_is(toy_project: Project) -> None:
    policy = one(toy_project, "select", "bob").decides[0]
    assert policy.place.endswith("migrations/phase_1_notes/1_1_notes.sql:8")


@pytest.mark.parametrize(
    ("change", "command", "persona", "cause"),
    [
        ("ALTER TABLE shop.notes DISABLE ROW LEVEL SECURITY", "select", "bob", ("row security", NOTES)),
        ("REVOKE USAGE ON SCHEMA shop FROM toy_member", "select", "alice", ("schema", "shop")),
        ('DROP POLICY "own notes are deleted" ON shop.notes', "delete", "alice", ("policy", "")),
        (
            "ALTER TABLE shop.notes ADD CONSTRAINT unchanged CHECK (body <> 'changed')",
            *("update", "alice", ("constraint", "unchanged")),
        ),
        (
            "CREATE FUNCTION shop.guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;"
            "CREATE TRIGGER guarding BEFORE DELETE ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.guard()",
            *("delete", "alice", ("trigger", "guarding")),
        ),
        (
            "CREATE FUNCTION shop.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;"
            "CREATE TRIGGER keeping BEFORE DELETE ON shop.notes FOR EACH ROW EXECUTE FUNCTION shop.keep()",
            *("delete", "alice", ("trigger", "keeping")),
        ),
        (
            "CREATE POLICY narrow ON shop.notes AS RESTRICTIVE FOR SELECT USING (id > 1)",
            *("select", "alice", ("policy", "narrow")),
        ),
        (
            "REVOKE UPDATE, SELECT ON shop.notes FROM toy_member;"
            "GRANT UPDATE (body), SELECT (id, author) ON shop.notes TO toy_member",
            *("update", "alice", ("privilege", "SELECT")),
        ),
        ("CREATE RULE ignored AS ON DELETE TO shop.notes DO INSTEAD NOTHING", "delete", "alice", ("rule", "ignored")),
    ],
)
def test_what_else_can_decide(
    toy_project: Project, change: str, command: str, persona: str, cause: tuple[str, str]
) -> None:
    toy_project.connection.execute(change.encode())
    assert cause in causes(one(toy_project, command, persona))


def test_a_privilege_on_columns_is_not_lacking_where_it_is_enough(toy_project: Project) -> None:
    """With UPDATE on the whole table, everybody could write the author."""
    toy_project.connection.execute(
        b"REVOKE UPDATE, SELECT ON shop.notes FROM toy_member;"
        b"GRANT UPDATE (body), SELECT (id, author) ON shop.notes TO toy_member"
    )
    answer = one(toy_project, "update", "alice")
    assert any("lacks SELECT" in each.text for each in answer.decides)
    assert not any("lacks UPDATE" in each.text for each in answer.decides)


def test_a_verdict_that_differs_from_the_grid(toy_project: Project) -> None:
    toy_project.connection.execute('ALTER POLICY "own notes are read" ON shop.notes USING (true)')
    answer = one(toy_project, "select", "bob")
    assert (answer.verdict, answer.expected, answer.differs) == ("yes", "-", True)
    assert answer.change == ['without policy "own notes are read", no policy would let the row through']
    assert "<- differs" in text.answer(answer)


def test_all_rows_in_short(toy_project: Project) -> None:
    shown = text.answers(explain(toy_project, NOTES, "select", "alice", None, None))
    assert "  alice's note\n    yes" in shown
    assert "  bob's note\n    -" in shown


def test_a_view_without_rows_in_the_world(toy_project: Project) -> None:
    answer = one(toy_project, "select", "alice", None, "shop.titles")
    assert (answer.kind, answer.verdict, answer.attempts[0].outcome) == ("view", "yes", "1 row of 2")
    assert "the policies of shop.notes decide" in answer.decides[1].text
    toy_project.connection.execute("ALTER VIEW shop.titles SET (security_invoker = false)")
    answer = one(toy_project, "select", "alice", None, "shop.titles")
    assert "runs as its owner" in answer.decides[1].text
    assert 'ALTER VIEW "shop"."titles" SET (security_invoker = true)' in answer.change
    toy_project.connection.execute("ALTER VIEW shop.titles SET (security_invoker = T)")  # as PostgreSQL reads booleans
    assert not any(
        "runs as its owner" in each.text for each in one(toy_project, "select", "alice", None, "shop.titles").decides
    )


def test_a_view_of_ones_own_rows(toy_project: Project) -> None:
    """The superuser, who counts all rows, sees none."""
    toy_project.connection.execute(
        "CREATE VIEW shop.own AS SELECT * FROM shop.notes WHERE author = shop.me();"
        "GRANT SELECT ON shop.own TO toy_member"
    )
    assert one(toy_project, "select", "alice", None, "shop.own").attempts[0].outcome == "1 row"


def test_nobody_sees_a_row_where_there_is_none(toy_project: Project) -> None:
    toy_project.connection.execute("CREATE TABLE shop.log (line text); GRANT SELECT ON shop.log TO toy_member")
    (found,) = who(toy_project, "shop.log", "select", None)
    assert {**found.rows[0].cannot} == {"alice": "-", "bob": "-", "visitor": "!", "keeper": "!"}
    assert "  note        shop.log has no row: - says only that nothing is refused" in text.who(found)
    toy_project.connection.execute("INSERT INTO shop.log VALUES ('a')")
    (found,) = who(toy_project, "shop.log", "select", None)
    assert "has no row" not in text.who(found)


def test_functions(toy_project: Project) -> None:
    answer = one(toy_project, "execute", "visitor", None, "shop.me")
    assert (answer.verdict, answer.grants) == ("yes", ["EXECUTE (granted to PUBLIC)"])
    assert one(toy_project, "execute", "visitor", None, "shop.count_notes()").verdict == "!"
    toy_project.connection.execute("REVOKE EXECUTE ON FUNCTION shop.me FROM PUBLIC")
    answer = one(toy_project, "execute", "visitor", None, "shop.me")
    assert (answer.verdict, causes(answer)) == ("!", [("privilege", "EXECUTE")])
    (found,) = who(toy_project, "shop.me", "execute", None)
    assert not found.rows[0].can


def test_a_function_with_arguments(toy_project: Project) -> None:
    create = "CREATE FUNCTION shop.half(n int) RETURNS int LANGUAGE sql AS 'SELECT 4 / n'"
    toy_project.connection.execute(create)
    assert one(toy_project, "execute", "alice", None, "shop.half(2)").verdict == "yes"
    assert one(toy_project, "execute", "alice", None, "shop.half(0)").verdict == "22012"
    answer = one(toy_project, "execute", "alice", None, "shop.half")
    assert "NULL::integer" in answer.attempts[0].statement
    with pytest.raises(RolecallError, match=r"shop\.half does not take 2 arguments"):
        one(toy_project, "execute", "alice", None, "shop.half(1, 2)")


OVERLOADS = """
CREATE FUNCTION shop.body(a int DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION shop.body(a text DEFAULT '') RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
CREATE FUNCTION shop.body(a int, VARIADIC b int[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
REVOKE EXECUTE ON FUNCTION shop.body(text) FROM PUBLIC;
"""


@pytest.mark.parametrize(
    ("call", "signature", "verdict"),
    [
        ("shop.body(1)", "shop.body(integer)", "yes"),
        ("shop.body('x')", "shop.body(text)", "!"),
        ("shop.body(a => 'x'::text)", "shop.body(text)", "!"),
        ("shop.body(1, 2, 3)", "shop.body(integer,integer[])", "yes"),
    ],
)
def test_the_arguments_say_which_function_of_a_name_it_is(
    toy_project: Project, call: str, signature: str, verdict: str
) -> None:
    toy_project.connection.execute(OVERLOADS)
    answer = one(toy_project, "execute", "alice", None, call)
    assert (answer.object, answer.verdict) == (signature, verdict)


def test_each_function_of_a_name_has_an_answer(toy_project: Project) -> None:
    toy_project.connection.execute(OVERLOADS)
    found = who(toy_project, "shop.body", "execute", None)
    assert [(each.object, "alice" in each.rows[0].can) for each in found] == [
        ("shop.body(integer)", True),
        ("shop.body(integer,integer[])", True),
        ("shop.body(text)", False),
    ]
    shown = text.answers(explain(toy_project, "shop.body", "execute", "alice", None, None))
    assert "alice: execute of shop.body(text): !  refused" in shown
    assert "--row" not in shown


@pytest.mark.parametrize(
    ("create", "call"),
    [
        ("FUNCTION shop.some(VARIADIC a int[]) RETURNS int LANGUAGE sql AS 'SELECT 1'", "shop.some(1, 2)"),
        ("FUNCTION shop.some(a anyelement, b anyarray) RETURNS int LANGUAGE sql AS 'SELECT 1'", "shop.some(1, '{2}')"),
        ("PROCEDURE shop.some(a int, OUT b int) LANGUAGE plpgsql AS 'BEGIN b := 1; END'", "shop.some(1, NULL)"),
    ],
)
def test_every_function_can_be_called_with_null(toy_project: Project, create: str, call: str) -> None:
    toy_project.connection.execute(f"CREATE {create}".encode())
    assert [one(toy_project, "execute", "alice", None, each).verdict for each in ("shop.some", call)] == ["yes", "yes"]


def test_who_can(toy_project: Project) -> None:
    (found,) = who(toy_project, "notes", "update", None)
    assert [(row.row, dict(row.can), dict(row.cannot)) for row in found.rows] == [
        ("alice's note", {"alice": "yes", "keeper": "yes"}, {"bob": "-", "visitor": "!"}),
        ("bob's note", {"bob": "yes", "keeper": "yes"}, {"alice": "-", "visitor": "!"}),
    ]
    (found,) = who(toy_project, "notes", "update", "bob's note")
    assert [row.row for row in found.rows] == ["bob's note"]
    assert "    can     bob, keeper\n    cannot  alice (-); visitor (!)" in text.who(found)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (("notes", "select", "alise", None), "unknown persona 'alise'. Do you mean 'alice'? The world has: alice, bob"),
        (
            ("shop.note", "select", "bob", None),
            "unknown table, view or function 'shop.note'. Do you mean 'shop.notes'",
        ),
        (
            ("notes", "handover", "bob", None),
            "unknown command 'handover'. Do you mean 'hand over'? shop.notes has",
        ),
        (("notes", "select", "bob", "bobs note"), "unknown row of shop.notes 'bobs note'. Do you mean \"bob's note\"?"),
        (("shop.me", "select", "bob", None), "unknown command 'select': shop.me is a function, which has execute."),
        (("notes", "execute", "bob", None), "unknown command 'execute': shop.notes is a table or view."),
        (("shop.me", "execute", "bob", "x"), "--row 'x': shop.me is a function, which has no rows."),
        (("notes(1)", "select", "bob", None), "shop.notes is no function: write it without parentheses."),
        (("shop.me((", "execute", "bob", None), "unknown table, view or function 'shop.me(('"),
        (("shop.me(1 +)", "execute", "bob", None), "the arguments of shop.me cannot be read"),
    ],
)
def test_names_that_do_not_exist(
    toy_project: Project, question: tuple[str, str, str, str | None], message: str
) -> None:
    with pytest.raises(RolecallError) as error:
        explain(toy_project, *question, expected=None)
    assert str(error.value).startswith(message)


QUOTED = """
CREATE SCHEMA "My App";
GRANT USAGE ON SCHEMA "My App" TO toy_member;
CREATE TABLE "My App"."the ""notes" ("the id" int PRIMARY KEY, "who's" text, "a {brace}" text);
ALTER TABLE "My App"."the ""notes" ENABLE ROW LEVEL SECURITY;
GRANT ALL ON "My App"."the ""notes" TO toy_member;
CREATE POLICY "it's % mine" ON "My App"."the ""notes" USING ("who's" = shop.me());
CREATE TABLE "My App".empty (id int);
GRANT SELECT ON "My App".empty TO toy_member;
"""


def test_quoted_names_and_tables_without_a_grid_or_a_row(ask: Ask) -> None:
    world = World()
    world.persona("alice", "toy_member", subject="alice")
    world.persona("100% bob", "toy_member", subject="bob")
    world.add('My App.the "notes', "hers", **{"the id": 1, "who's": "alice", "a {brace}": "{x}"})
    project = ask(QUOTED, world)
    for name in ('My App.the "notes', '"My App"."the ""notes"', 'the "notes'):
        for command in ("select", "insert", "update", "delete"):
            answer = one(project, command, "alice", None, name)
            assert (answer.object, answer.verdict, answer.test) == ('My App.the "notes', "yes", "")
    answer = one(project, "update", "100% bob", "hers", 'the "notes')
    assert (answer.verdict, causes(answer)) == ("-", [("policy", "it's % mine")])
    assert "no grid names an update" in answer.notes[0]
    answer = one(project, "select", "alice", None, "empty")
    assert (answer.verdict, answer.decides[0].text) == ("-", "My App.empty has no row")
    (found,) = who(project, "empty", "select", None)
    assert not found.rows[0].can
