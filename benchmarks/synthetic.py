"""A synthetic project of any size: tables with four policies each, ten personas, and rows in each table."""

from __future__ import annotations

from pathlib import Path

MEMBERS = tuple(f"member_{number}" for number in range(8))
CELLS = 40  # for each row: ten personas, four commands

PLATFORM = """
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'synthetic_member') THEN
    CREATE ROLE synthetic_member NOLOGIN;
    CREATE ROLE synthetic_visitor NOLOGIN;
    CREATE ROLE synthetic_keeper NOLOGIN BYPASSRLS;
  END IF;
END
$$;
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO synthetic_member, synthetic_visitor, synthetic_keeper;
CREATE FUNCTION app.me() RETURNS text LANGUAGE sql STABLE
  RETURN NULLIF(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub';
"""

TABLE = """
CREATE TABLE {table} (
  id int PRIMARY KEY,
  owner text NOT NULL,
  body text CONSTRAINT short CHECK (length(body) <= 10)
);
ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO synthetic_member, synthetic_keeper;
CREATE POLICY "own rows are read" ON {table} FOR SELECT TO synthetic_member USING (owner = (SELECT app.me()));
CREATE POLICY "own rows are written" ON {table} FOR INSERT TO synthetic_member
  WITH CHECK (owner = (SELECT app.me()));
CREATE POLICY "own rows are changed" ON {table} FOR UPDATE TO synthetic_member USING (owner = (SELECT app.me()));
CREATE POLICY "own rows are deleted" ON {table} FOR DELETE TO synthetic_member USING (owner = (SELECT app.me()));
"""

CONFTEST = """
from rolecall import World


def pytest_rolecall_world(seed):
    world = World()
    for name in {members!r}:
        world.persona(name, "synthetic_member", subject=name)
    world.persona("visitor", "synthetic_visitor")
    world.persona("keeper", "synthetic_keeper")
    for table in range({tables}):
        for row in range({rows}):
            owner = {members!r}[row % {count}]
            world.add(f"app.t{{table}}", f"row {{row}}", id=row, owner=owner, body="unchanged")
    return world
"""

ROW = """\
row {row}
  {owner}  yes  yes  yes  yes
  {others}  -  !  -  -
  visitor  !  !  !  !
  keeper  yes  yes  yes  yes
"""

TEST = '''
from rolecall import grid

test_grid = grid(
    "app.t{table}",
    """
        select  insert  update  delete
{rows}""",
    update="body = 'changed'",
)
'''

INI = """\
[pytest]
addopts = --import-mode=importlib -p no:randomly -p no:cacheprovider
rolecall_platform = platform.sql
rolecall_migrations = migrations
"""


def lay_out(folder: Path, tables: int, rows: int) -> None:
    """Write a project with ``tables`` tables of ``rows`` rows each into a folder."""
    phase = folder / "migrations" / "phase_1_synthetic"
    phase.mkdir(parents=True)
    (folder / "pytest.ini").write_text(INI, encoding="utf-8")
    (folder / "platform.sql").write_text(PLATFORM, encoding="utf-8")
    names = [f"app.t{table}" for table in range(tables)]
    (phase / "1_1_tables.sql").write_text("".join(TABLE.format(table=name) for name in names), encoding="utf-8")
    (phase / "verify.sql").write_text("SELECT;\n", encoding="utf-8")
    (phase / "rollback.sql").write_text("DROP SCHEMA app CASCADE;\n", encoding="utf-8")
    conftest = CONFTEST.format(members=MEMBERS, count=len(MEMBERS), tables=tables, rows=rows)
    (folder / "conftest.py").write_text(conftest, encoding="utf-8")
    cells = "".join(_row(row) for row in range(rows))
    for table in range(tables):
        (folder / f"test_t{table}.py").write_text(TEST.format(table=table, rows=cells), encoding="utf-8")


def _row(row: int) -> str:
    owner = MEMBERS[row % len(MEMBERS)]
    others = ", ".join(name for name in MEMBERS if name != owner)
    return ROW.format(row=row, owner=owner, others=others)
