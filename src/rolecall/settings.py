"""Every option once: command line, environment and ini file, read into one frozen dataclass.

The command line wins over the environment (``ROLECALL_PG_DSN`` for ``--pg-dsn``), and that over the
ini file (``rolecall_pg_dsn``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rolecall import dsn
from rolecall.dsn import Conninfo
from rolecall.errors import RolecallError

LONGEST = 100  # characters of a value that an error repeats


@dataclass(frozen=True)
class Option:
    """One setting: its name, what it is for, and how its text becomes a value."""

    name: str
    help: str
    default: str = ""
    metavar: str = "VALUE"
    choices: tuple[str, ...] = ()
    flag: bool = True  # also an option of the command line, not of the ini file and environment alone
    switch: bool = False  # on or off: takes no value on the command line

    @property
    def ini(self) -> str:
        return "rolecall_" + self.name

    @property
    def variable(self) -> str:
        return "ROLECALL_" + self.name.upper()

    @property
    def argument(self) -> str:
        return "--" + self.name.replace("_", "-")


OPTIONS = (
    Option("pg", "embedded PostgreSQL to start: 16 or 18", "18", "VERSION", ("16", "18")),
    Option("pg_bin", "start the PostgreSQL (15 or newer) whose initdb and postgres lie in DIR", "", "DIR"),
    Option("pg_dsn", "use a running server; databases are made there and dropped, nothing else is touched", "", "URL"),
    Option(
        "grants",
        "default privileges under which the migrations run",
        "strict",
        "REGIME",
        ("strict", "permissive"),
    ),
    Option("kept", "folder that keeps the built databases for the next run; off: none does", ".rolecall", "DIR"),
    Option("fresh", "remove what was kept, and build the databases anew", switch=True),
    Option("baseline", "SQL of what stood there before the migrations, e.g. your own schema dump", "", "FILE"),
    Option("world_seed", "seed of the example data", "1", "N"),
    Option("platform", "SQL of the platform under the baseline, run by the superuser", flag=False),
    Option("requires", "SQL that fails unless the baseline has what the migrations need", flag=False),
    Option("migrations", "folder with a folder for each phase", flag=False),
    Option("coverage", "name everything that the migrations made and no test exercised, and fail", switch=True),
    Option("mutants", "break the schema in every way known, and demand that a collected test notices", switch=True),
    Option("oracle", "also send every cell as a request, committed in a database of its own, and compare", switch=True),
    Option("mutants_of", "only mutants of objects whose name has this in it", "", "OBJECT"),
    Option("operator", "only mutants of this operator", "", "NAME"),
    Option("since", "only mutants of what the SQL files define that changed since a git revision", "", "REV"),
    Option("equivalents", "file with mutants that cannot be told from the original, and why", flag=False),
    Option("findings", "folder with SQL files that each put a defect back, for the tests to notice", flag=False),
    Option("migration_role", "role that runs the migrations: the first that is no superuser", flag=False),
)


@dataclass(frozen=True)
class Settings:
    """What the user asked for. Paths are absolute; ``None`` means not given."""

    pg: int
    pg_bin: Path | None
    pg_dsn: Conninfo | None
    grants: str
    platform: Path | None
    baseline: Path | None
    requires: Path | None
    migrations: Path | None
    findings: Path | None
    migration_roles: tuple[str, ...]
    world_seed: int
    kept: Path | None
    fresh: bool
    coverage: bool
    mutants: bool
    oracle: bool
    mutants_of: str
    operator: str
    since: str
    equivalents: Path | None

    @property
    def in_use(self) -> bool:
        """Whether this project has anything for rolecall to build."""
        return any((self.platform, self.baseline, self.migrations))


def add_options(parser: pytest.Parser) -> None:
    """Declare every option to pytest: ``--name`` and ini ``rolecall_name``."""
    group = parser.getgroup("rolecall", "rolecall: access tests against a throwaway Postgres")
    for option in OPTIONS:
        told = f"{option.help} (default: {option.default})" if option.default else option.help
        parser.addini(option.ini, told, default=None)
        if option.flag:
            takes: dict[str, Any] = {"action": "store_true"} if option.switch else {"metavar": option.metavar}
            group.addoption(option.argument, dest=option.ini, default=None, help=told, **takes)


def read(config: pytest.Config) -> Settings:
    """Read the settings of this run.

    Raises RolecallError for a value that is not one of the choices, for a file that is not there, and
    for options that exclude each other.
    """
    given = {option.name: _given(config, option) for option in OPTIONS}
    texts = {name: text for name, (text, _) in given.items()}
    if texts["pg_bin"] and texts["pg_dsn"]:
        raise RolecallError("--pg-bin starts a server and --pg-dsn uses a running one: give one of the two.")
    if _is_on(texts["coverage"]) and _is_on(texts["mutants"]):
        raise RolecallError("--coverage looks at the schema as it is and --mutants breaks it: give one of the two.")
    check_dsn(*given["pg_dsn"])
    return Settings(
        pg=int(texts["pg"]),
        pg_bin=_path(config, given["pg_bin"], Path.is_dir),
        pg_dsn=Conninfo(texts["pg_dsn"]) if texts["pg_dsn"] else None,
        grants=texts["grants"],
        platform=_path(config, given["platform"], Path.is_file),
        baseline=_path(config, given["baseline"], Path.is_file),
        requires=_path(config, given["requires"], Path.is_file),
        migrations=_path(config, given["migrations"], Path.is_dir),
        findings=_path(config, given["findings"], Path.is_dir),
        migration_roles=tuple(texts["migration_role"].split()),
        world_seed=_number(*given["world_seed"]),
        kept=_path(config, given["kept"], lambda _: True) if texts["kept"] != "off" else None,
        fresh=_is_on(texts["fresh"]),
        coverage=_is_on(texts["coverage"]),
        mutants=_is_on(texts["mutants"]),
        oracle=_is_on(texts["oracle"]),
        mutants_of=texts["mutants_of"],
        operator=texts["operator"],
        since=texts["since"],
        equivalents=_path(config, given["equivalents"], Path.is_file),
    )


def _given(config: pytest.Config, option: Option) -> tuple[str, str]:
    """The text of an option, and how it was given: ``--pg``, ``ROLECALL_PG`` or ``rolecall_pg``."""
    text: Any = config.getoption(option.ini, default=None) if option.flag else None
    where = option.argument
    if text is None and option.variable in os.environ:
        text, where = os.environ[option.variable], option.variable
    if text is None:
        text, where = config.getini(option.ini), option.ini
    text = option.default if text is None else str(text).strip()
    if option.name == "pg_dsn":
        text = Conninfo(text)
    if option.choices and text not in option.choices:
        raise RolecallError(f"{where} is {_short(text)}: choose one of {', '.join(option.choices)}.")
    return text, where


def _path(config: pytest.Config, given: tuple[str, str], exists: Callable[[Path], bool]) -> Path | None:
    text, where = given
    if not text:
        return None
    base = config.invocation_params.dir if where.startswith("--") else config.rootpath
    try:
        path = (base / Path(text).expanduser()).resolve()
        found = exists(path)
    except (OSError, RuntimeError, ValueError) as error:  # links in a circle, no such user's home, a NUL, too long
        raise RolecallError(f"{where} names {_short(text)}, which cannot be a path here: {_reason(error)}.") from None
    if not found:
        raise RolecallError(f"{where} names {path}, which is not there.")
    return path


def _short(text: str) -> str:
    return repr(text if len(text) <= LONGEST else text[:LONGEST] + "…")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error).rstrip(".")


def _is_on(text: str) -> bool:
    return text.lower() in ("1", "true", "yes", "on")


def _number(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise RolecallError(f"{where} is {_short(text)}: give a whole number.") from None


def check_dsn(text: str, where: str) -> None:
    """Raises RolecallError for a connection string that cannot be used; its text repeats no part of the string."""
    problem = dsn.problem(text) if text else None
    if problem:
        advice = "Give a URL (postgresql://…) or a connection string (host=… dbname=…)."
        raise RolecallError(f"{where} cannot be read: {problem}.\n{advice}")
