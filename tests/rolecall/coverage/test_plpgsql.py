"""Instrumented PL/pgSQL reports the statements that ran."""

from __future__ import annotations

import psycopg

from rolecall.catalog.definitions import Function
from rolecall.catalog.plpgsql import parts
from rolecall.coverage import plpgsql
from rolecall.worker import Worker

SOURCE = """
<<outermost>>
DECLARE
  x int := CASE WHEN true THEN 1 END;
BEGIN
  -- é; BEGIN
  IF a > 1 AND (CASE WHEN true THEN true END) THEN
    x := 2;
  ELSIF a > 0 THEN x := 3; END IF;
  <<rounds>>
  FOR x IN SELECT CASE WHEN true THEN n END FROM generate_series(1, 3) AS n LOOP
    CONTINUE WHEN x = 2;
    EXIT rounds WHEN x = 9;
    <<inner>> WHILE true LOOP EXIT inner; END LOOP inner;
  END LOOP rounds;
  CASE a WHEN 1 THEN ELSE NULL; END CASE;
  DECLARE
    y int;
  BEGIN
    RAISE EXCEPTION 'rolled back, but reported';
  EXCEPTION
    WHEN division_by_zero THEN
    WHEN others THEN
      UPDATE pg_temp.one SET n = 2;
      GET DIAGNOSTICS y = ROW_COUNT;
      RETURN x * 10 + y;
  END;
  RETURN x;
END"""

NOT_REACHED = [
    "line 8: x := 2;",
    "line 13: EXIT rounds WHEN x = 9;: what if so",
    "line 22: THEN",
    "line 28: RETURN x;",
]


def test_every_statement_and_branch_reports_itself(toy_worker: Worker) -> None:
    definition = f"CREATE FUNCTION pg_temp.f(a int) RETURNS int LANGUAGE plpgsql AS $${SOURCE}$$"
    body = plpgsql.body("pg_temp.f('100%')", definition, SOURCE)
    reached: set[tuple[str, ...]] = set()

    def record(diagnostic: psycopg.errors.Diagnostic) -> None:
        reached.add(plpgsql.parse_report(diagnostic.message_primary) or ())

    connection = toy_worker.connection
    connection.execute("CREATE TEMPORARY TABLE one AS SELECT 1 AS n")
    connection.execute(body.instrumented.encode())
    others: list[str | None] = []
    connection.add_notice_handler(lambda notice: others.append(notice.message_primary))
    with connection.reporting_to(record):
        assert connection.execute("SELECT pg_temp.f(1)").fetchall() == [(31,)]
        assert connection.execute("SELECT pg_temp.f(0)").fetchall() == [(31,)]
    assert others == []
    not_reached = [
        point
        for number, point in enumerate(body.points)
        if ("reached", "pg_temp.f('100%')", str(number)) not in reached
    ]
    assert list(map(str, not_reached)) == NOT_REACHED
    assert len(reached) == len(body.points) - len(not_reached)


def test_every_statement_of_the_parser_reports_itself() -> None:
    definition = f"CREATE FUNCTION f(a int) RETURNS int LANGUAGE plpgsql AS $${SOURCE}$$"
    function = Function("f", "f(int)", "plpgsql", definition, SOURCE, False, "v", False, False)
    lines = {part.line for part in parts(function) if part.kind.startswith("PLpgSQL_stmt")}
    # A statement with a label has the line of its label. The outermost block, in line 5, is the function itself.
    lines -= {5}
    assert lines - {point.line for point in plpgsql.body("f", definition, SOURCE).points} == {11, 19}
