"""The platforms that the package has: what a database has on them before the first table of a project.

A platform is a few SQL files, which the superuser runs in order. Parts that a dump may need too are stand-ins of
:mod:`rolecall.dump`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
STAND_INS = FOLDER.parent / "dump" / "stand_ins"


@dataclass(frozen=True)
class Platform:
    """SQL files, and the candidates for the migration role if the project names none."""

    files: Sequence[Path]
    migration_roles: Sequence[str] = ()


_SUPABASE = FOLDER / "supabase"
# By the path that stands for it in the settings. The second migration role is for servers whose `postgres` is a
# superuser.
PLATFORMS = {
    _SUPABASE: Platform(
        (
            _SUPABASE / "roles.sql",
            _SUPABASE / "auth.sql",
            STAND_INS / "auth_email.sql",
            STAND_INS / "auth.sql",
            _SUPABASE / "storage.sql",
            STAND_INS / "storage.sql",
            STAND_INS / "realtime.sql",
            STAND_INS / "supabase_realtime.sql",
            _SUPABASE / "extensions.sql",
            _SUPABASE / "migrations.sql",
            _SUPABASE / "owners.sql",
        ),
        ("postgres", "supabase_postgres"),
    ),
    FOLDER / "postgrest.sql": Platform((FOLDER / "postgrest.sql",), ("postgrest_owner",)),
    FOLDER / "neon.sql": Platform((FOLDER / "neon.sql",), ("neondb_owner",)),
}
NONE = "none"
NAMES = {**{path.stem: path for path in PLATFORMS}, NONE: None}


def of(path: Path) -> Platform:
    """The platform of a path: one of the package, or a file of the project."""
    return PLATFORMS.get(path, Platform((path,)))
