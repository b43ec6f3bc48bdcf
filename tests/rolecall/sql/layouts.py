"""The toy project's migrations in each layout, plain and with scripts that undo or verify them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from tests.rolecall.conftest import FILES

NOTES = FILES["migrations/phase_1_notes/1_1_notes.sql"]
COUNT = FILES["migrations/phase_1_notes/1_2_count_notes.sql"]
NO_NOTES = "DROP TABLE shop.notes;\n"
NO_COUNT = "DROP VIEW shop.titles;\nDROP FUNCTION shop.count_notes();\n"
VERIFY = "BEGIN;\nSELECT id, author FROM shop.notes;\nROLLBACK;\n"
# The index needs a file without a transaction; the rest of the file has one.
INDEX = "CREATE INDEX CONCURRENTLY notes_id ON shop.notes (id, author);\nDROP INDEX CONCURRENTLY shop.notes_id;\n"


def transaction(text: str) -> str:
    """A text with BEGIN and COMMIT."""
    return f"BEGIN;\n{text}COMMIT;\n"


class Project(NamedTuple):
    """Migrations in a layout. ``steps`` are their titles in order, ``undo`` the titles of those with a down script."""

    layout: str
    path: str  # of rolecall_migrations
    files: dict[str, str]
    steps: list[str]
    undo: list[str]

    def write(self, folder: Path) -> None:
        """Put it in place of the toy project's migrations."""
        shutil.rmtree(folder / "migrations")
        for name, text in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        ini = folder / "pytest.ini"
        setting = "rolecall_migrations = "
        ini.write_text(ini.read_text().replace(f"{setting}migrations", f"{setting}{self.path}"))


PROJECTS = {
    "flat": Project(
        "flat",
        "supabase/migrations",
        {
            "supabase/config.toml": "",
            "supabase/migrations/20240301090000_my-notes.sql": transaction(NOTES),
            "supabase/migrations/20240302100000_count.sql": COUNT + INDEX,
        },
        ["20240301090000_my-notes", "20240302100000_count"],
        [],
    ),
    "flat with down scripts": Project(
        "flat",
        "migrations",
        {
            "migrations/1_notes.sql": NOTES,
            "migrations/1_notes.down.sql": transaction(NO_NOTES),
            "migrations/2_count.sql": COUNT,
        },
        ["1_notes", "2_count"],
        ["1_notes"],
    ),
    "schemas": Project(
        "schemas",
        "supabase/schemas",
        {"supabase/schemas/b.sql": COUNT, "supabase/schemas/a/notes.sql": NOTES},
        ["a/notes", "b"],
        [],
    ),
    "schemas in the order of config.toml": Project(
        "schemas",
        "supabase/schemas",
        {
            "supabase/config.toml": '[db.migrations]\nschema_paths = ["./schemas/z.sql", "./schemas/*.sql"]\n',
            "supabase/schemas/a.sql": COUNT,
            "supabase/schemas/z.sql": NOTES,
        },
        ["schemas/z", "schemas/a"],
        [],
    ),
    "file of Alembic": Project(
        "file", "all.sql", {"all.sql": transaction(NOTES) + "\n" + transaction(COUNT)}, ["all"], []
    ),
    "file that includes others": Project(
        "file",
        "db/all.sql",
        {
            "db/all.sql": (
                "-- In this order.\n\\set ON_ERROR_STOP on\n\\ir tables/z.sql;\n"
                "\\echo more\n\\include_relative '../more/all.sql'\n"
            ),
            "db/tables/z.sql": NOTES,
            "more/all.sql": "\\ir a.sql\n",
            "more/a.sql": COUNT,
            "more/not_included.sql": "SELECT 1/0;",
        },
        ["tables/z", "../more/a"],
        [],
    ),
    "flyway": Project(
        "flyway",
        "db",
        {
            "db/V2__more_tags.sql": "DROP TABLE shop.tags;",
            "db/V1__notes.sql": NOTES,
            "db/sub/V1.10__tags.sql": "ALTER TABLE shop.tag RENAME TO tags;",
            "db/V1_9__tag.sql": "CREATE TABLE shop.tag (id int);",
            "db/R__views.sql": COUNT,
        },
        ["V1__notes", "V1_9__tag", "V1.10__tags", "V2__more_tags", "R__views"],
        [],
    ),
    "flyway with undo migrations": Project(
        "flyway",
        "db",
        {"db/V1__notes.sql": NOTES, "db/V2__count.sql": COUNT, "db/U1.0__x.sql": NO_NOTES, "db/U2__x.sql": NO_COUNT},
        ["V1__notes", "V2__count"],
        ["V1__notes", "V2__count"],
    ),
    "prisma": Project(
        "prisma",
        "prisma/migrations",
        {
            "prisma/migrations/migration_lock.toml": "",
            "prisma/migrations/20240302100000_count/migration.sql": COUNT,
            "prisma/migrations/20240301090000_notes/migration.sql": NOTES,
        },
        ["20240301090000_notes", "20240302100000_count"],
        [],
    ),
    "prisma with down.sql": Project(
        "prisma",
        "prisma",
        {"prisma/0_init/migration.sql": NOTES + COUNT, "prisma/0_init/down.sql": NO_COUNT + NO_NOTES},
        ["0_init"],
        ["0_init"],
    ),
    "golang-migrate": Project(
        "golang-migrate",
        "migrations",
        {
            "migrations/10_count.up.sql": COUNT,
            "migrations/10_count.down.sql": NO_COUNT,
            "migrations/9_notes.up.sql": transaction(NOTES),
            "migrations/9_notes.down.sql": NO_NOTES,
        },
        ["9_notes", "10_count"],
        ["9_notes", "10_count"],
    ),
    "golang-migrate without down": Project(
        "golang-migrate",
        "migrations",
        {
            "migrations/1_notes.up.sql": NOTES,
            "migrations/2_count.up.sql": COUNT,
            "migrations/2_count.down.sql": "\n",
        },
        ["1_notes", "2_count"],
        [],
    ),
    "dbmate": Project(
        "dbmate",
        "db/migrations",
        {
            "db/migrations/20240301_notes.sql": f"-- Notes\n-- migrate:up\n{NOTES}\n-- migrate:down\n{NO_NOTES}",
            "db/migrations/20240302_count.sql": f"-- migrate:up transaction:false\n{COUNT}{INDEX}\n-- migrate:down\n",
        },
        ["20240301_notes", "20240302_count"],
        ["20240301_notes"],
    ),
    "goose": Project(
        "goose",
        "migrations",
        {
            "migrations/00001_notes.sql": (
                f"-- +goose Up\n-- +goose StatementBegin\n{NOTES}-- +goose StatementEnd\n-- +goose Down\n{NO_NOTES}"
            ),
            "migrations/00002_count.sql": f"-- +goose NO TRANSACTION\n-- +goose Up\n{COUNT}{INDEX}",
        },
        ["00001_notes", "00002_count"],
        ["00001_notes"],
    ),
    "sqitch": Project(
        "sqitch",
        "sq",
        {
            "sq/sqitch.plan": (
                "%syntax-version=1.0.0\n%project=toy\n\nnotes 2024-03-01T09:00:00Z Al <a@b.c> # notes\n@v1 2024 # tag\n"
                "count [notes] 2024-03-02T10:00:00Z Al <a@b.c> # count\n"
                "notes [notes@v1] 2024-03-03T10:00:00Z Al <a@b.c>\n"
            ),
            "sq/deploy/notes@v1.sql": transaction(NOTES),
            "sq/revert/notes@v1.sql": transaction(NO_NOTES),
            "sq/verify/notes@v1.sql": VERIFY,
            "sq/deploy/count.sql": COUNT + INDEX,
            "sq/revert/count.sql": NO_COUNT,
            "sq/deploy/notes.sql": "COMMENT ON TABLE shop.notes IS 'of members';",
            "sq/revert/notes.sql": "COMMENT ON TABLE shop.notes IS NULL;",
        },
        ["notes@v1", "count", "notes"],
        ["notes@v1", "count", "notes"],
    ),
}
