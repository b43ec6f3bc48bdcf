"""The operators that add something to a schema, or change what few statements name. The server accepts each mutant."""

from __future__ import annotations

from typing import Any

import pytest

from rolecall.mutants.operators import (
    constraints,
    functions,
    grants,
    indexes,
    policy_additions,
    tables,
    triggers,
    views,
)
from rolecall.mutants.operators.operator import Operator
from rolecall.worker import Worker
from tests.rolecall.mutants.operators.conftest import MutantsOf, Run

PINS = """
CREATE TABLE shop.pins (
  id uuid PRIMARY KEY, note_id int NOT NULL CONSTRAINT of_note REFERENCES shop.notes ON DELETE CASCADE,
  maker_id uuid NOT NULL, owner_id uuid NOT NULL, label text CONSTRAINT short CHECK (length(label) < 9), shown bool,
  at timestamptz
);
ALTER TABLE shop.pins ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON shop.pins TO toy_member;
CREATE UNIQUE INDEX by_label ON shop.pins (label);
CREATE POLICY mine ON shop.pins FOR SELECT USING (owner_id::text = shop.me() AND label = 'x');
CREATE FUNCTION shop.stop() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.shown THEN RAISE EXCEPTION 'no'; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER stop BEFORE UPDATE ON shop.pins FOR EACH ROW WHEN (OLD.shown) EXECUTE FUNCTION shop.stop();
CREATE FUNCTION shop.labels(p_label text) RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN QUERY SELECT label FROM shop.pins WHERE label = p_label AND at::date = current_date;
END $$;
CREATE VIEW shop.shown_pins WITH (security_invoker = true) AS SELECT id, maker_id, label, at FROM shop.pins;
"""


def test_a_join_that_the_policy_has_is_not_added_again(mutants_of: MutantsOf) -> None:
    """The mutant would behave as the original does."""
    joined = PINS + (
        "CREATE POLICY joined ON shop.pins FOR DELETE USING"
        " (EXISTS (SELECT FROM shop.notes AS n WHERE n.id = note_id AND n.id::text = shop.me()))"
    )
    mutants = mutants_of(joined, policy_additions.MoreAccess())
    assert 'shop.pins "mine" | USING or the id of its note_id is the caller' in mutants
    assert [each for each in mutants if each.startswith('shop.pins "joined"') and "note_id" in each] == []


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        pytest.param(
            policy_additions.MoreAccess(),
            {
                "USING or id is the caller",
                "USING or maker_id is the caller",
                "USING or shown",
                "USING or label is NULL",
                "USING or a role in user_metadata",
                "USING or a role in app_metadata",
                "USING or a setting",
                "USING or a header",
                "USING or the id of its note_id is the caller",
            },
            id="policy-or",
        ),
        pytest.param(
            policy_additions.LessAccess(),
            {
                *(f"USING and {name} is not NULL" for name in ("label", "shown", "at")),
                *("USING and at is past", "USING and at is recent", "USING and label is short"),
                "USING and note_id is small",
            },
            id="policy-and",
        ),
        pytest.param(
            policy_additions.MatchLoosely(),
            {
                f"USING: {comparison} {what}"
                for comparison in ("label = 'x'::text", "owner_id::text = shop.me()")
                for what in ("ignores case", "is a prefix match")
            },
            id="policy-match",
        ),
        pytest.param(
            constraints.Checking(),
            {"short": {"not valid", "no inherit"}, "of_note": {"not valid", "deferred"}},
            id="checking",
        ),
        pytest.param(
            tables.TableAttributes(),
            {
                *("SET UNLOGGED", "FORCE ROW LEVEL SECURITY"),
                *("REPLICA IDENTITY NOTHING", "REPLICA IDENTITY FULL"),
            },
            id="table-attributes",
        ),
        pytest.param(
            tables.AddRule(),
            {*(f"{command} does nothing" for command in ("INSERT", "UPDATE", "DELETE")), "INSERT notifies"},
            id="rule-add",
        ),
        pytest.param(tables.Owner(), {"owned by toy_member"}, id="owner"),
        pytest.param(
            triggers.AddTrigger(),
            {
                *(
                    f"BEFORE {command}: {what}"
                    for command in ("INSERT", "UPDATE")
                    for what in (
                        *("label becomes NULL", "shown becomes NULL", "at becomes NULL", "label in lower case"),
                        *("label cut to 50 characters", "at cut to the day", "maker_id and owner_id swapped"),
                    )
                ),
                *(f"BEFORE {command}: the row is ignored" for command in ("INSERT", "UPDATE", "DELETE")),
                *(f"AFTER {command}: the row of its note_id is deleted" for command in ("INSERT", "UPDATE", "DELETE")),
                "BEFORE UPDATE: the old row stays",
            },
            id="trigger-add",
        ),
        pytest.param(
            functions.SwallowErrors(),
            {
                *("errors are swallowed", "RETURN NEW becomes RETURN OLD", "RETURN NEW becomes RETURN NULL"),
            },
            id="function-swallow",
        ),
        pytest.param(
            functions.EditResult(),
            {
                *("LIMIT 100", "DISTINCT", "label in lower case", "label cut to 50 characters"),
            },
            id="function-result",
        ),
        pytest.param(
            functions.FunctionSettings(),
            {f"SET {setting}" for setting in functions.FunctionSettings.SETTINGS},
            id="function-settings",
        ),
        pytest.param(
            views.EditRows(),
            {
                *("LIMIT 100", "DISTINCT", "maker_id is not NULL", "label is not NULL", "at is not NULL", "at is past"),
            },
            id="view-rows",
        ),
        pytest.param(
            views.EditValues(),
            {
                *("id is another column", "maker_id is another column", "label in lower case"),
                *("label cut to 50 characters", "at cut to the day"),
            },
            id="view-values",
        ),
        pytest.param(views.Barrier(), {"security_barrier = true"}, id="view-barrier"),
    ],
)
def test_an_operator_finds_these_changes_and_the_server_accepts_them(
    toy_worker: Worker, mutants_of: MutantsOf, run: Run, operator: Operator, expected: Any
) -> None:
    toy_worker.connection.execute("GRANT toy_member TO toy_migrator")  # as on Supabase: an owner must be a role of ours
    mutants = mutants_of(PINS, operator)
    own = {key: each for key, each in mutants.items() if "pins" in key or "shop.labels" in key or "shop.stop" in key}
    if isinstance(expected, set):
        assert {key.split(" | ", 1)[1] for key in own} == expected
    else:
        for name, changes in expected.items():
            assert {key.split(" | ")[1] for key in own if key.startswith(f"shop.pins {name}")} == changes
    for mutant in own.values():
        with toy_worker.connection.transaction(force_rollback=True):
            run(mutant.sql)


def test_nulls_are_distinct_no_longer(mutants_of: MutantsOf) -> None:
    mutant = mutants_of(PINS, indexes.EditIndex())["shop.pins by_label | NULLS NOT DISTINCT"]
    assert "NULLS NOT DISTINCT" in mutant.sql


def test_a_foreign_key_gets_each_action_for_another_key(mutants_of: MutantsOf) -> None:
    mutants = mutants_of(PINS, constraints.ForeignKeyAction())
    assert {"shop.pins of_note | ON UPDATE CASCADE", "shop.pins of_note | ON UPDATE SET NULL"} <= set(mutants)


def test_a_trigger_reads_the_other_row(mutants_of: MutantsOf) -> None:
    (mutant,) = [each for key, each in mutants_of(PINS, triggers.EditTrigger()).items() if "becomes new" in key]
    assert "WHEN (new.shown)" in mutant.sql


def test_the_row_of_a_swapped_pair_has_both_values(toy_worker: Worker, mutants_of: MutantsOf, run: Run) -> None:
    mutants = mutants_of(PINS, triggers.AddTrigger())
    run(mutants["shop.pins | BEFORE INSERT: maker_id and owner_id swapped"].sql)
    one, two = (f"0000000{number}-0000-0000-0000-000000000000" for number in (1, 2))
    stored = toy_worker.connection.execute(
        "INSERT INTO shop.pins VALUES (gen_random_uuid(), 1, %s, %s) RETURNING maker_id::text, owner_id::text",
        [one, two],
    ).fetchone()
    assert stored == (two, one)


EVENTS = """
CREATE FUNCTION shop.protect() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE made record;
BEGIN
  FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP
    IF made.schema_name = 'shop' THEN
      EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', made.object_identity);
    END IF;
  END LOOP;
  IF tg_tag = 'CREATE TABLE' THEN RETURN; END IF;
END $$;
"""


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        (functions.EditBody(), {"IF tg_tag = 'CREATE TABLE': true", "'shop' becomes 'shopx'"}),
        (functions.SwallowErrors(), {"errors are swallowed"}),
        (functions.Attributes(), {"security definer"}),
        (grants.AddGrant(), set()),
        (grants.DropGrant(), set()),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_the_function_of_an_event_trigger(
    mutants_of: MutantsOf, run: Run, operator: Operator, expected: set[str]
) -> None:
    """No role calls it."""
    mutants = {name: each for name, each in mutants_of(EVENTS, operator).items() if name.startswith("shop.protect")}
    for mutant in mutants.values():
        run(mutant.sql)
    assert {name.partition(" | ")[2] for name in mutants} >= expected
    assert bool(mutants) == bool(expected)


@pytest.mark.parametrize("mark", ["", " NOT VALID", " NO INHERIT", " NO INHERIT NOT VALID"])
def test_a_check_with_a_mark_after_its_condition(mutants_of: MutantsOf, run: Run, mark: str) -> None:
    check = f"ALTER TABLE shop.notes ADD CONSTRAINT low CHECK (id < 100){mark}"
    mutants = mutants_of(check, constraints.EditCheck())
    assert "shop.notes low | id < 100: < becomes <=" in mutants
    for mutant in mutants.values():
        run(mutant.sql)


TEMPORAL = """
CREATE TABLE shop.rooms (id int4range, valid daterange, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
CREATE TABLE shop.bookings (
  id int PRIMARY KEY, room int4range, during daterange, CONSTRAINT low CHECK (id < 100) NOT ENFORCED,
  FOREIGN KEY (room, PERIOD during) REFERENCES shop.rooms (id, PERIOD valid)
);
CREATE POLICY mine ON shop.bookings USING (room IS NULL);
"""


@pytest.mark.parametrize(
    "operator",
    [
        constraints.DropConstraint(),
        constraints.EditCheck(),
        constraints.ForeignKeyAction(),
        constraints.Checking(),
        policy_additions.MoreAccess(),
    ],
    ids=lambda operator: operator.name,
)
def test_constraints_of_postgresql_18(toy_worker: Worker, mutants_of: MutantsOf, operator: Operator) -> None:
    """A constraint that is NOT ENFORCED refuses nothing, so it has no mutants."""
    if toy_worker.connection.info.server_version < 180000:
        pytest.skip("PostgreSQL 18")
    mutants = mutants_of(TEMPORAL, operator)
    assert [name for name in mutants if "low" in name] == []
