"""Every edit of a PL/pgSQL body, with the exact source of its mutants."""

from __future__ import annotations

from rolecall.catalog.definitions import Function
from rolecall.mutants.rewrites import plpgsql


def body(source: str, *, is_trigger: bool = False) -> Function:
    returns = "trigger" if is_trigger else "integer"
    definition = f"CREATE FUNCTION s.f(a integer) RETURNS {returns} LANGUAGE plpgsql AS $${source}$$"
    return Function("s.f", "s.f(integer)", "plpgsql", definition, source, False, "v", False, is_trigger)


SOURCE = """
BEGIN
  IF a > 3 THEN
    RAISE EXCEPTION 'ü: too many' USING ERRCODE = '22023';
  END IF;
  RETURN a + 1;
END
"""


def test_edits_of_a_body() -> None:
    raising = "RAISE EXCEPTION 'ü: too many' USING ERRCODE = '22023';"
    changes = [
        ("IF a > 3: true", "IF a > 3", "IF true"),
        ("IF a > 3: false", "IF a > 3", "IF false"),
        ("IF a > 3: NOT (a > 3)", "IF a > 3", "IF NOT (a > 3)"),
        ("a > 3: > becomes >=", "a > 3", "a >= 3"),
        ("a > 3: > becomes <", "a > 3", "a < 3"),
        ("3 becomes 4", "a > 3", "a > 4"),
        ("3 becomes 2", "a > 3", "a > 2"),
        ("without RAISE EXCEPTION 'ü: too many' USING ERRCODE = '22023'", raising, "NULL;"),
        ("ERRCODE '22023' lost", "'22023'", "'P0001'"),
        ("'22023' becomes '22024'", "'22023'", "'22024'"),
        ("a + 1: + becomes -", "a + 1", "a - 1"),
        ("1 becomes 2", "a + 1", "a + 2"),
        ("1 becomes 0", "a + 1", "a + 0"),
    ]
    assert list(plpgsql.edits(body(SOURCE))) == [(what, SOURCE.replace(old, new)) for what, old, new in changes]


def test_edits_of_a_triggers_body() -> None:
    source = "BEGIN\n  IF new.a = old.a THEN\n    RAISE 'no';\n  END IF;\n  RETURN new;\nEND"
    changes = [
        ("IF new.a = old.a: true", "new.a = old.a", "true"),
        ("IF new.a = old.a: false", "new.a = old.a", "false"),
        ("IF new.a = old.a: NOT (new.a = old.a)", "new.a = old.a", "NOT (new.a = old.a)"),
        ("new.a = old.a: = becomes <>", "new.a = old.a", "new.a <> old.a"),
        ("without RAISE 'no'", "RAISE 'no';", "NULL;"),
    ]
    edits = list(plpgsql.edits(body(source, is_trigger=True)))
    assert edits == [(what, source.replace(old, new)) for what, old, new in changes]


def test_the_same_condition_twice_is_changed_in_both_places() -> None:
    source = "BEGIN\n  IF a > 3 THEN RETURN 1; END IF;\n  IF a > 3 THEN RETURN 2; END IF;\n  RETURN 0;\nEND"
    negated = [text for what, text in plpgsql.edits(body(source)) if what == "IF a > 3: NOT (a > 3)"]
    lines = [[number for number, line in enumerate(text.splitlines(), 1) if "NOT" in line] for text in negated]
    assert lines == [[2], [3]]


def test_a_query_in_a_body_is_edited_as_a_query() -> None:
    source = "BEGIN\n  DELETE FROM s.t WHERE id = a;\n  RETURN 0;\nEND"
    assert [what for what, _ in plpgsql.edits(body(source))] == [
        "without WHERE id = a",
        "id = a: = becomes <>",
        "0 becomes 1",
        "0 becomes -1",
    ]


def test_every_form_of_a_sqlstate_is_replaced() -> None:
    source = (
        "BEGIN\n"
        "  IF a > 3 THEN RAISE 'no' USING hint = 'errcode', errcode = '22023'; END IF;\n"
        "  RAISE unique_violation USING message = 'x';\n"
        "  RAISE EXCEPTION SQLSTATE '22012';\n"
        "END"
    )
    edits = {what: text for what, text in plpgsql.edits(body(source)) if "ERRCODE" in what}
    assert edits == {
        "ERRCODE '22023' lost": source.replace("'22023'", "'P0001'"),
        "ERRCODE unique_violation lost": source.replace("unique_violation", "raise_exception"),
        "ERRCODE '22012' lost": source.replace("'22012'", "'P0001'"),
    }


def test_a_raise_on_the_line_of_its_if_is_left_out_alone() -> None:
    source = "BEGIN\n  IF a > 3 THEN RAISE 'no'; END IF;\n  RETURN a;\nEND"
    without = [text for what, text in plpgsql.edits(body(source)) if what.startswith("without")]
    assert without == [source.replace("RAISE 'no';", "NULL;")]


def test_elsif_is_a_condition_too() -> None:
    source = "BEGIN\n  IF a THEN\n    RETURN 1;\n  ELSIF b THEN\n    RETURN 2;\n  END IF;\n  RETURN 3;\nEND"
    edits = [text for what, text in plpgsql.edits(body(source)) if what == "IF b: true"]
    assert edits == [source.replace("ELSIF b", "ELSIF true")]
