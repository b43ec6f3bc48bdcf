"""A project of any size, made up: so many tables with four policies each, ten personas, so many rows a table."""

from __future__ import annotations

from pathlib import Path

MEMBERS = tuple(f"member_{number}" for number in range(8))
CELLS = 40  # of a row: ten personas, four commands

PLATFORM = """
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'made_up_member') THEN
    CREATE ROLE made_up_member NOLOGIN;
    CREATE ROLE made_up_visitor NOLOGIN;
    CREATE ROLE made_up_keeper NOLOGIN BYPASSRLS;
  END IF;
END
$$;
CREATE SCHEMA app;
GRANT USAGE ON SCHEMA app TO made_up_member, made_up_visitor, made_up_keeper;
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
GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO made_up_member, made_up_keeper;
CREATE POLICY "own rows are read" ON {table} FOR SELECT TO made_up_member USING (owner = (SELECT app.me()));
CREATE POLICY "own rows are written" ON {table} FOR INSERT TO made_up_member
  WITH CHECK (owner = (SELECT app.me()));
CREATE POLICY "own rows are changed" ON {table} FOR UPDATE TO made_up_member USING (owner = (SELECT app.me()));
CREATE POLICY "own rows are deleted" ON {table} FOR DELETE TO made_up_member USING (owner = (SELECT app.me()));
"""

CONFTEST = """
from rolecall import World


def pytest_rolecall_world(seed):
    world = World()
    for name in {members!r}:
        world.persona(name, "made_up_member", subject=name)
    world.persona("visitor", "made_up_visitor")
    world.persona("keeper", "made_up_keeper")
    for table in range({tables}):
        for row in range({rows}):
            owner = {members!r}[row % {count}]
            world.add(f"app.t{{table}}", f"row {{row}}", id=row, owner=owner, body="as it was")
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
    """Write such a project into a folder."""
    phase = folder / "migrations" / "phase_1_made_up"
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
