"""Rows and personas are proposed for each kind of row that the policies can tell apart."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rolecall.init import reader, shape
from rolecall.init.cast import Cast
from rolecall.init.proposed_row import ProposedRow
from rolecall.init.rows import Rows
from rolecall.worker import Worker

HEAD = """
CREATE SCHEMA t;
GRANT USAGE ON SCHEMA t TO toy_member;
CREATE FUNCTION t.me() RETURNS text LANGUAGE sql STABLE
  RETURN NULLIF(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub';
"""
TAIL = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA t TO toy_member;"
Propose = Callable[[str], Rows]


@pytest.fixture
def propose(toy_worker: Worker) -> Propose:
    """A function that proposes rows of the tables of a schema `t`."""

    def propose(sql: str) -> Rows:
        connection = toy_worker.connection
        connection.execute(f"{HEAD}{sql}{TAIL}".encode())
        found = shape.read(connection)
        tables = [name for name in found.tables if name.startswith("t.")]
        found.policies[:] = [each for each in found.policies if each.table in tables]
        facts = reader.read(found)
        rows = Rows(connection, found, facts, Cast(found, facts, shape.roles(connection, tables), None))
        rows.propose(tables)
        return rows

    return propose


def names(rows: Rows, table: str) -> list[str]:
    return [proposed.name for proposed in rows.rows.get(table, ())]


def row(rows: Rows, table: str, name: str) -> ProposedRow:
    return next(proposed for proposed in rows.rows[table] if proposed.name == name)


def test_a_row_for_each_owner_and_each_value(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.notes (id int PRIMARY KEY, author text NOT NULL, open bool NOT NULL DEFAULT false, gone date);
        CREATE POLICY p ON t.notes USING (author = t.me());
        CREATE POLICY o ON t.notes FOR SELECT USING (open AND gone IS NULL);
    """)
    assert names(rows, "t.notes") == [
        "alice's note",
        "bob's note",
        "alice's note with open true",
        "alice's note with gone set",
    ]
    assert row(rows, "t.notes", "alice's note").columns == {"id": 1, "author": "alice"}
    assert row(rows, "t.notes", "alice's note with gone set").columns["open"] is True  # visible otherwise


def test_a_row_of_a_table_that_needs_no_value(propose: Propose) -> None:
    rows = propose("CREATE TABLE t.log (who text, what text); ALTER TABLE t.log ENABLE ROW LEVEL SECURITY;")
    assert row(rows, "t.log", "alice's log").columns == {"who": None}


@pytest.mark.parametrize(
    "check",
    [
        "code IN ('x1', 'x2')",
        "code IN ('x1', 'x2') AND code <> 'x1'",
        "length(code) = 7",
        "length(code) BETWEEN 20 AND 22",
        "code ~ '^[A-Z]{2}$'",
        "(code = '' OR size > 40) AND size <> 41",
        "code IS NULL OR size IS NULL",
    ],
)
def test_a_check_is_satisfied(propose: Propose, check: str) -> None:
    rows = propose(
        f"CREATE TABLE t.notes (id int PRIMARY KEY, code text NOT NULL, size int DEFAULT 1, CHECK ({check}));"
    )
    assert rows.failed == {}
    assert len(rows.rows["t.notes"]) == 2


def test_a_check_prefers_a_value_to_the_change_of_a_default(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.accounts (id int PRIMARY KEY, slug text UNIQUE, personal bool NOT NULL DEFAULT false,
                                 CHECK (personal = (slug IS NULL)));
    """)
    assert row(rows, "t.accounts", "alice's account").columns == {"id": 1, "slug": "alice"}


def test_what_cannot_be_made_has_the_error(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.never (id int PRIMARY KEY CHECK (id < 0 AND id > 0));
        CREATE TABLE t.children (id int PRIMARY KEY, parent int NOT NULL REFERENCES t.never);
    """)
    assert rows.rows == {}
    assert "never_id_check" in rows.failed["t.never"]
    assert rows.failed["t.children"].startswith("it needs a row of t.never: ")


def test_tables_that_refer_to_each_other(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.teams (id int PRIMARY KEY, head int);
        CREATE TABLE t.people (id int PRIMARY KEY, team int NOT NULL REFERENCES t.teams, boss int REFERENCES t.people);
        ALTER TABLE t.teams ADD FOREIGN KEY (head) REFERENCES t.people;
    """)
    assert rows.failed == {}
    assert row(rows, "t.people", "bob's people").columns == {"id": 2, "team": 2}


def test_a_role_in_a_table_of_members_is_a_persona(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.teams (id int PRIMARY KEY);
        CREATE TABLE t.members (team int REFERENCES t.teams, who text, role text CHECK (role IN ('guest', 'boss')));
        CREATE TABLE t.jobs (id int PRIMARY KEY, team int NOT NULL REFERENCES t.teams);
        CREATE POLICY p ON t.jobs USING (EXISTS (
          SELECT FROM t.members AS m WHERE m.team = jobs.team AND m.who = t.me() AND m.role = 'boss'
        ));
    """)
    assert list(rows.actors) == ["alice", "bob", "stranger", "no_subject", "boss", "member_of_both"]
    boss = row(rows, "t.members", "boss's member").columns
    assert boss == {"team": 1, "who": "boss", "role": "boss"}
    assert [
        proposed.columns["team"] for proposed in rows.rows["t.members"] if proposed.columns["who"] == "member_of_both"
    ] == [
        1,
        2,
    ]


def test_alice_has_a_role_that_the_policies_name(propose: Propose) -> None:
    """And no administrator's, that may use the same tables."""
    rows = propose("""
        CREATE TABLE t.notes (id int PRIMARY KEY, author text NOT NULL);
        GRANT USAGE ON SCHEMA t TO toy_visitor;
        GRANT ALL ON t.notes TO toy_visitor;
        CREATE POLICY p ON t.notes TO toy_visitor USING (author = t.me());
    """)
    assert rows.actors["alice"].role == "toy_visitor"


def test_a_list_of_admins_has_only_the_admin(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.admins (who text PRIMARY KEY);
        CREATE TABLE t.jobs (id int PRIMARY KEY);
        CREATE POLICY p ON t.jobs USING (t.me() IN (SELECT who FROM t.admins));
    """)
    assert names(rows, "t.admins") == ["admin's admin"]


def test_a_letter_is_from_one_to_the_other(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.letters (sender text, recipient text, CHECK (sender <> recipient));
        CREATE POLICY p ON t.letters USING (t.me() IN (sender, recipient));
    """)
    assert [proposed.columns for proposed in rows.rows["t.letters"]] == [
        {"sender": "alice", "recipient": "bob"},
        {"sender": "bob", "recipient": "alice"},
    ]


def test_an_enum_in_a_claim_is_a_persona_for_each_label(propose: Propose) -> None:
    rows = propose("""
        CREATE TYPE t.kind AS ENUM ('admin', 'helper');
        CREATE TABLE t.permissions (id int PRIMARY KEY, kind t.kind NOT NULL);
        INSERT INTO t.permissions VALUES (1, 'admin');
        CREATE TABLE t.jobs (id int PRIMARY KEY);
        CREATE POLICY p ON t.jobs USING (EXISTS (
          SELECT FROM t.permissions AS p
          WHERE p.kind = (current_setting('request.jwt.claims', true)::jsonb ->> 'kind')::t.kind
        ));
    """)
    assert rows.actors["alice_helper"].claims == {"kind": "helper"}
    assert rows.actors["alice"].claims == {}
    assert [(proposed.name, proposed.exists) for proposed in rows.rows["t.permissions"]] == [("permission 1", True)]


def test_a_trigger_that_asks_who_acts(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.notes (id int PRIMARY KEY, author text NOT NULL, body text);
        CREATE FUNCTION t.sign() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN NEW.author = t.me(); RETURN NEW; END $$;
        CREATE TRIGGER s BEFORE INSERT ON t.notes FOR EACH ROW EXECUTE FUNCTION t.sign();
        CREATE POLICY p ON t.notes USING (author = t.me());
        GRANT ALL ON t.notes TO toy_member;
    """)
    assert [(proposed.name, proposed.maker) for proposed in rows.rows["t.notes"]] == [
        ("alice's note", "alice"),
        ("bob's note", "bob"),
    ]


def test_a_path_begins_with_the_owner(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.files (name text PRIMARY KEY);
        CREATE POLICY p ON t.files USING (split_part(name, '/', 1) = t.me());
    """)
    assert [proposed.columns["name"] for proposed in rows.rows["t.files"]] == ["alice/file-1.png", "bob/file-2.png"]


def test_a_row_that_a_policy_names(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.plans (id text PRIMARY KEY);
        CREATE TABLE t.orders (id int PRIMARY KEY, plan text NOT NULL REFERENCES t.plans);
        CREATE POLICY p ON t.orders USING (plan = 'free');
    """)
    assert row(rows, "t.orders", "alice's order").columns["plan"] == "free"
    assert "plan free" in names(rows, "t.plans")


def test_a_row_refers_to_one_thing_where_a_check_allows_no_more(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.topics (id int PRIMARY KEY);
        CREATE TABLE t.replies (id int PRIMARY KEY);
        CREATE TABLE t.likes (id int PRIMARY KEY, who text NOT NULL, topic int REFERENCES t.topics,
                              reply int REFERENCES t.replies, CHECK ((topic IS NULL) <> (reply IS NULL)));
        CREATE POLICY p ON t.likes USING (who = t.me() AND (topic IS NOT NULL OR reply IS NOT NULL));
    """)
    assert rows.failed == {}
    assert {name: set(row(rows, "t.likes", name).columns) & {"topic", "reply"} for name in names(rows, "t.likes")} == {
        "alice's like": {"topic"},
        "bob's like": {"topic"},
        "alice's like with reply": {"reply"},
    }


def test_a_row_may_not_refer_to_one_thing_twice(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.tasks (id int PRIMARY KEY, author text NOT NULL);
        CREATE TABLE t.dependencies (task int REFERENCES t.tasks, needs int REFERENCES t.tasks,
                                     PRIMARY KEY (task, needs), CHECK (task <> needs));
        CREATE POLICY p ON t.tasks USING (author = t.me());
    """)
    assert row(rows, "t.dependencies", "alice's dependency").columns == {"task": 1, "needs": 2}
    assert row(rows, "t.dependencies", "alice's dependency").sources["needs"].row == "bob's task"


def test_a_trigger_wants_another_thing(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.teams (id int PRIMARY KEY, author text NOT NULL);
        CREATE TABLE t.projects (id int PRIMARY KEY, team int NOT NULL REFERENCES t.teams);
        CREATE TABLE t.shares (id int PRIMARY KEY, project int NOT NULL REFERENCES t.projects,
                               team int NOT NULL REFERENCES t.teams);
        CREATE FUNCTION t.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          IF NEW.team = (SELECT p.team FROM t.projects AS p WHERE p.id = NEW.project) THEN
            RAISE EXCEPTION 'its own team';
          END IF;
          RETURN NEW;
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON t.shares FOR EACH ROW EXECUTE FUNCTION t.refuse();
        CREATE POLICY p ON t.teams USING (author = t.me());
    """)
    assert names(rows, "t.shares") == ["alice's share", "bob's share"]
    assert rows.failed == {}


def test_all_rows_that_a_check_allows_exist(propose: Propose) -> None:
    """A trigger makes them for each new user."""
    rows = propose("""
        CREATE TABLE t.users (id text PRIMARY KEY);
        CREATE TABLE t.piles (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), owner text NOT NULL REFERENCES t.users,
                              kind text NOT NULL CHECK (kind IN ('a', 'b')), UNIQUE (owner, kind));
        CREATE FUNCTION t.fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          INSERT INTO t.piles (owner, kind) VALUES (NEW.id, 'a'), (NEW.id, 'b');
          RETURN NEW;
        END $$;
        CREATE TRIGGER fill AFTER INSERT ON t.users FOR EACH ROW EXECUTE FUNCTION t.fill();
        CREATE POLICY u ON t.users USING (id = t.me());
        CREATE POLICY p ON t.piles USING (owner = t.me());
    """)
    pile = row(rows, "t.piles", "alice's pile")
    assert pile.exists
    assert pile.columns == {"owner": "alice", "kind": "a"}


def test_two_rows_differ_in_what_a_check_allows(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.piles (owner text NOT NULL, house text NOT NULL CHECK (house IN ('a', 'b')),
                              kind text NOT NULL, UNIQUE (owner, house));
        CREATE POLICY p ON t.piles USING (owner = t.me() AND kind = 'x');
    """)
    assert names(rows, "t.piles") == ["alice's pile", "bob's pile", "alice's pile with kind x"]
    houses = [proposed.columns["house"] for proposed in rows.rows["t.piles"]]
    assert houses[0] != houses[2]


def test_a_row_of_another_thing_than_the_one_that_a_policy_names(propose: Propose) -> None:
    rows = propose("""
        CREATE SCHEMA o;
        CREATE TABLE o.buckets (id text PRIMARY KEY, title text NOT NULL);
        INSERT INTO o.buckets VALUES ('avatars', 'Avatars');
        CREATE TABLE t.files (id int PRIMARY KEY, bucket text REFERENCES o.buckets, author text NOT NULL);
        CREATE POLICY p ON t.files FOR SELECT USING (bucket = 'avatars');
        CREATE POLICY q ON t.files FOR DELETE USING (author = t.me());
    """)
    assert row(rows, "t.files", "alice's file with bucket other-avatars").columns["bucket"] == "other-avatars"
    assert list(rows.rows) == ["o.buckets", "t.files"]  # in the order in which they are loaded
    assert names(rows, "o.buckets") == ["bucket other-avatars"]  # the other one is there


def test_a_thing_that_is_looked_up_makes_no_persona(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.topics (id int PRIMARY KEY, author text NOT NULL, state text NOT NULL, gone date);
        CREATE TABLE t.replies (id int PRIMARY KEY, author text NOT NULL, topic int NOT NULL REFERENCES t.topics);
        CREATE POLICY p ON t.topics USING (author = t.me());
        CREATE POLICY p ON t.replies USING (author = t.me() AND EXISTS (
          SELECT FROM t.topics AS o WHERE o.id = topic AND o.gone IS NULL AND (o.state = 'open' OR o.author = t.me())
        ));
    """)
    assert list(rows.actors) == ["alice", "bob", "stranger", "no_subject"]
    assert {"alice's topic with state open", "alice's topic with gone set"} <= {*names(rows, "t.topics")}


def test_a_row_that_refers_to_what_is_not_hers(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.wishes (id int PRIMARY KEY, owner text NOT NULL);
        CREATE TABLE t.gifts (wish int REFERENCES t.wishes, giver text, PRIMARY KEY (wish, giver));
        CREATE POLICY p ON t.gifts USING (giver = t.me() AND NOT EXISTS (
          SELECT FROM t.wishes AS w WHERE w.id = wish AND w.owner = t.me()
        ));
    """)
    crossed = row(rows, "t.gifts", "alice's gift at bob's").columns
    assert crossed["giver"] == "alice"
    assert crossed["wish"] == row(rows, "t.wishes", "bob's wish").columns["id"]


def test_a_row_that_only_an_owner_may_insert(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.teams (id int PRIMARY KEY);
        CREATE TABLE t.members (team int REFERENCES t.teams, who text, role text CHECK (role IN ('guest', 'boss')));
        CREATE TABLE t.letters (id int PRIMARY KEY, team int NOT NULL REFERENCES t.teams, sender text NOT NULL);
        CREATE FUNCTION t.is_boss(int) RETURNS bool LANGUAGE sql SECURITY DEFINER AS
          $$ SELECT EXISTS (SELECT FROM t.members WHERE team = $1 AND who = t.me() AND role = 'boss') $$;
        CREATE FUNCTION t.sign() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN NEW.sender := t.me(); RETURN NEW; END $$;
        CREATE TRIGGER sign BEFORE INSERT ON t.letters FOR EACH ROW EXECUTE FUNCTION t.sign();
        ALTER TABLE t.letters ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON t.letters USING (t.is_boss(team));
    """)
    assert [(proposed.name, proposed.maker) for proposed in rows.rows["t.letters"]] == [("alice's letter", "boss")]


def test_a_time_that_a_trigger_sets_makes_no_row(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.notes (id int PRIMARY KEY, made timestamptz, over timestamptz);
        CREATE FUNCTION t.stamp() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN NEW.made := now(); RETURN NEW; END $$;
        CREATE TRIGGER stamp BEFORE INSERT ON t.notes FOR EACH ROW EXECUTE FUNCTION t.stamp();
        CREATE POLICY p ON t.notes USING (made > now() - interval '1 day' AND over < now());
    """)
    assert [name.partition(" with ")[2] for name in names(rows, "t.notes")] == [
        *("", "", "made 2001-02-03 and over 2001-02-03", "over 2001-02-03", "over 2999-02-03"),
    ]


def test_a_table_without_rows_has_the_first_cause(propose: Propose) -> None:
    rows = propose("""
        CREATE TABLE t.users (id int PRIMARY KEY, email text);
        CREATE TABLE t.profiles (id int PRIMARY KEY, email text NOT NULL);
        CREATE FUNCTION t.new_user() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN INSERT INTO t.profiles (id) VALUES (NEW.id); RETURN NEW; END $$;
        CREATE TRIGGER new_user AFTER INSERT ON t.users FOR EACH ROW EXECUTE FUNCTION t.new_user();
        CREATE TABLE t.notes (id int PRIMARY KEY, author int NOT NULL REFERENCES t.users);
        CREATE TABLE t.tags (id int PRIMARY KEY, note int NOT NULL REFERENCES t.notes);
    """)
    assert rows.failed["t.users"].endswith(" (in the function t.new_user)")
    assert rows.failed["t.notes"] == rows.failed["t.tags"] == f"it needs a row of t.users: {rows.failed['t.users']}"
