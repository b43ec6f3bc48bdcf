"""All options of rolecall. Each is declared once, with name, type, default and help; :func:`read` reads them.

The command line (``--rolecall-pg-dsn``) wins over the environment (``ROLECALL_PG_DSN``), and the environment over
pytest's configuration (``rolecall_pg_dsn``).
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from rolecall.errors import RolecallError

if TYPE_CHECKING:
    from rolecall.dsn import Conninfo

TYPES = {"int": "give a whole number", "bool": "give true or false", "string": "give a string"}
TYPES |= {"args": "give words, or a list of strings", "linelist": "give lines, or a list of strings"}
LONGEST = 100  # an error repeats no more characters of a value
LONGEST_TIMEOUT = 2_147_483  # seconds: PostgreSQL counts milliseconds in 32 bits
LAYOUTS = (  # rolecall/sql/layouts
    *("phases", "flat", "schemas", "file", "flyway", "prisma", "golang-migrate", "dbmate", "goose", "sqitch"),
)
SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


class Source(NamedTuple):
    """A value as the user wrote it. ``name`` says where: ``--rolecall-pg``, ``ROLECALL_PG`` or ``rolecall_pg``.

    A relative path starts at the folder ``base``.
    """

    value: Any
    name: str
    base: Path

    @property
    def text(self) -> str:
        """The value as text."""
        return self.value.strip() if isinstance(self.value, str) else str(self.value)


@dataclass(frozen=True)
class Option:
    """How an option is declared to pytest, and how its value is read."""

    help: str
    read: Callable[[Source], Any]
    default: Any = None
    ini_type: Any = "string"
    metavar: str = "VALUE"
    cli: bool = True  # False: only in the configuration and the environment
    switch: bool = False  # on or off; takes no value on the command line
    secret: bool = False  # may hold a password


# ------------------------------------------------------------------ values


def _text(source: Source) -> str:
    return source.text


def _number(source: Source) -> int:
    try:
        return int(source.text)
    except ValueError:
        raise RolecallError(f"{source.name} is {_short(source.text)}: give a whole number.") from None


def _seconds(source: Source) -> int:
    seconds = _number(source)
    if not 0 <= seconds <= LONGEST_TIMEOUT:
        raise RolecallError(f"{source.name} is {seconds}: give 0 (no limit) to {LONGEST_TIMEOUT} seconds.")
    return seconds


def _switch(source: Source) -> bool:
    try:
        return SWITCH[source.text.lower() or "off"]
    except KeyError:
        raise RolecallError(f"{source.name} is {_short(source.text)}: give on or off.") from None


def _one_of(*choices: str, as_type: Callable[[str], Any] = str) -> Callable[[Source], Any]:
    def read(source: Source) -> Any:
        if source.text not in choices:
            raise RolecallError(f"{source.name} is {_short(source.text)}: choose one of {', '.join(choices)}.")
        return as_type(source.text)

    return read


def _path(exists: Callable[[Path], bool]) -> Callable[[Source], Path | None]:
    def read(source: Source) -> Path | None:
        if not source.text:
            return None
        try:
            path = (source.base / Path(source.text).expanduser()).resolve()
            found = exists(path)
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, an unknown user's home, a NUL, too long
            text = f"{source.name} names {_short(source.text)}, which is not a valid path: {_reason(error)}."
            raise RolecallError(text) from None
        if not found:
            raise RolecallError(f"{source.name} names {path}, {_why_not(path)}")
        return path

    return read


def _why_not(path: Path) -> str:
    """Why a path cannot be used, as the end of a sentence."""
    if (path / "toc.dat").is_file():
        return f"an archive of pg_dump: run pg_restore -f dump.sql {path.name}, and name dump.sql."
    if path.is_dir():
        return "which is a folder: name a file in it."
    return "which is not a folder." if path.exists() else "which does not exist."


def _exists(path: Path) -> bool:
    return path.is_dir() or path.is_file()


def _platform(source: Source) -> Path | None:
    from rolecall import platforms  # a project that does not use rolecall must not load it

    if source.text in platforms.NAMES:
        return platforms.NAMES[source.text]
    try:
        return _path(Path.is_file)(source)
    except RolecallError as error:
        raise RolecallError(f"{error}\nThe package has the platforms {', '.join(platforms.NAMES)}.") from None


def _cache_dir(source: Source) -> Path | None:
    return None if source.text == "off" else _path(lambda _: True)(source)


def _words(source: Source) -> tuple[str, ...]:
    if isinstance(source.value, list):
        return tuple(source.value)
    try:
        return tuple(shlex.split(str(source.value or "")))
    except ValueError as error:  # a quote that does not end
        problem = str(error).lower()
        raise RolecallError(
            f"{source.name} is {_short(source.text)}: {problem}. Give words, quoted as in a shell."
        ) from None


def _reasons(source: Source) -> dict[str, str]:
    lines = source.value if isinstance(source.value, list) else str(source.value or "").splitlines()
    reasons: dict[str, str] = {}
    for line in filter(None, map(str.strip, lines)):
        table, colon, reason = (part.strip() for part in line.partition(":"))
        if not colon or not reason or not re.fullmatch(r"[^.]+\..+", table):
            raise RolecallError(f"{source.name} has the line {_short(line)}: write schema.table: the reason.")
        reasons[table] = reason
    return reasons


def _dsn(source: Source) -> Conninfo | None:
    from rolecall.dsn import Conninfo  # imports psycopg, which a project that does not use rolecall must not load

    dsn = Conninfo(source.text)
    check_dsn(dsn, source.name)
    return dsn or None


def check_dsn(text: str, name: str) -> None:
    """Raises RolecallError for a connection string that cannot be used. The error repeats no part of the string."""
    from rolecall import dsn

    problem = dsn.problem(text) if text else None
    if problem:
        advice = "Give a URL (postgresql://…) or a connection string (host=… dbname=…)."
        raise RolecallError(f"{name} cannot be read: {problem}.\n{advice}")


def _short(text: str) -> str:
    return repr(text if len(text) <= LONGEST else text[:LONGEST] + "…")


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error).rstrip(".")


# ------------------------------------------------------------------ the options


def _option(help: str, read: Callable[[Source], Any], **details: Any) -> Any:  # noqa: A002 - as in argparse
    option = Option(help, read, **details)
    initial = None if read is _cache_dir else option.default
    return field(default_factory=lambda: initial, metadata={"option": option})


def _file(help: str, *, cli: bool = False) -> Any:  # noqa: A002
    return _option(help, _path(Path.is_file), metavar="FILE", cli=cli)


def _folder(help: str) -> Any:  # noqa: A002
    return _option(help, _path(Path.is_dir), metavar="DIR", cli=False)


def _flag(help: str) -> Any:  # noqa: A002
    return _option(help, _switch, default=False, ini_type="bool", switch=True)


@dataclass(frozen=True)
class Settings:
    """The settings of a run. Paths are absolute; ``None`` means not set, or for ``cache_dir`` no cache."""

    pg: int = _option(
        "version of the embedded PostgreSQL: 16, 17 or 18",
        _one_of("16", "17", "18", as_type=int),
        default=17,
        ini_type="int",
        metavar="VERSION",
    )
    pg_bin: Path | None = _option(
        "start the PostgreSQL (15 or newer) whose initdb and postgres are in DIR", _path(Path.is_dir), metavar="DIR"
    )
    pg_dsn: Conninfo | None = _option(
        "use a running server: rolecall creates and drops its own databases there and touches nothing else",
        _dsn,
        metavar="URL",
        secret=True,
    )
    default_privileges: str = _option(
        "default privileges under which the migrations run: revoked, or granted as on older Supabase projects",
        _one_of("revoked", "granted"),
        default="revoked",
        metavar="REGIME",
    )
    platform: Path | None = _option(
        "the platform below the baseline: supabase, postgrest, neon or none, or a file of SQL, run by the superuser",
        _platform,
        metavar="PLATFORM",
        cli=False,
    )
    baseline: Path | None = _file("SQL of the schema before the migrations, or a dump of it", cli=True)
    requires: Path | None = _file("SQL that fails if the baseline lacks something that the migrations need")
    migrations: Path | None = _option(
        "folder of the migrations, in one of the layouts; or one SQL file", _path(_exists), metavar="PATH", cli=False
    )
    layout: str = _option(
        f"layout of the migrations: auto, {', '.join(LAYOUTS)}",
        _one_of("auto", *LAYOUTS),
        default="auto",
        metavar="NAME",
        cli=False,
    )
    seed: Path | None = _file("SQL of rows that are loaded after the migrations and before the world, as seed.sql")
    migration_role: tuple[str, ...] = _option(
        "role that runs the migrations: the first of ROLES that is not a superuser",
        _words,
        default=(),
        ini_type="args",
        metavar="ROLES",
        cli=False,
    )
    world_seed: int = _option("seed of the example data", _number, default=1, ini_type="int", metavar="N")
    lock_timeout: int = _option(
        "seconds that a statement may wait for a lock; 0: no limit",
        _seconds,
        default=10,
        ini_type="int",
        metavar="SECONDS",
    )
    statement_timeout: int = _option(
        "seconds that a statement may take; 0: no limit", _seconds, default=60, ini_type="int", metavar="SECONDS"
    )
    tables_without_grid: Mapping[str, str] = _option(
        "tables, views and functions that need no grid or test, one a line: schema.table: the reason",
        _reasons,
        default={},
        ini_type="linelist",
        cli=False,
    )
    cache_dir: Path | None = _option(
        "folder of the template cache, which saves the build in the next run; off: no cache",
        _cache_dir,
        default=".rolecall",
        metavar="DIR",
    )
    cache_clear: bool = _flag("empty the template cache first, and build the databases again")
    digest_from: int = _option(
        "number of failed tests from which a digest takes the place of their explanations; 0: never",
        _number,
        default=10,
        ini_type="int",
        metavar="N",
    )
    undecided: str = _option(
        "what cells do whose verdict has a question mark, and tables whose reason is TODO: allow (yellow), or fail",
        _one_of("allow", "fail"),
        default="allow",
        metavar="WHAT",
    )
    update: bool = _flag("write what is observed into the grids: verdicts that differ, new personas and new rows")
    access_lock: Path | None = _option(
        "lock file of the access map, below testpaths: a test fails if the measured access is not that of the file",
        _path(lambda _: True),
        metavar="FILE",
        cli=False,
    )
    report: Path | None = _option(
        "folder of reports for machines: run.json, rolecall.sarif, mutants.json; on GitHub Actions, also annotations",
        _path(lambda _: True),
        metavar="DIR",
    )
    after_each_phase: bool = _flag("also try the grids, and the tests with the mark, after each earlier phase")
    coverage: bool = _flag("list everything that the migrations created and no test covers; fail if there is any")
    mutants: bool = _flag("run mutation testing on the schema; fail if a mutant survives")
    mutants_of: str = _option(
        "only mutants of objects whose name contains NAME, or the mutant with this id",
        _text,
        default="",
        metavar="NAME",
    )
    mutants_operator: str = _option("only mutants of this operator", _text, default="", metavar="NAME")
    mutants_since: str = _option(
        "only mutants of objects in SQL files that changed since a git revision", _text, default="", metavar="REV"
    )
    mutants_declared: bool = _flag("also run every test on the mutants that are declared (slow)")
    equivalents: Path | None = _file("file of equivalent mutants, one a line, with the reason")
    pinned: Path | None = _file("file of mutants that only pins notice, one a line, with the reason")
    defects: Path | None = _folder("folder of SQL files that each put a defect back; a test must fail with each")
    oracle: bool = _flag("also send every cell as a committed request in a database of its own, and compare")

    @property
    def in_use(self) -> bool:
        """Whether this project has anything for rolecall to build."""
        return any((self.platform, self.baseline, self.migrations))


class Names(NamedTuple):
    """The three spellings of one option."""

    argument: str
    variable: str
    ini: str

    @classmethod
    def of(cls, name: str) -> Names:
        """The spellings of the option that a field of Settings declares."""
        return cls(f"--rolecall-{name.replace('_', '-')}", f"ROLECALL_{name.upper()}", f"rolecall_{name}")


def options() -> dict[str, Option]:
    """Every option by the name of its field in :class:`Settings`, in order."""
    return {setting.name: _option_of(setting) for setting in fields(Settings)}


def _option_of(setting: Field[Any]) -> Option:
    option: Option = setting.metadata["option"]
    return option


def add_options(parser: pytest.Parser) -> None:
    """Declare every option to pytest, on the command line and in its configuration."""
    group = parser.getgroup("rolecall", "rolecall: access tests against a throwaway Postgres")
    for name, option in options().items():
        names = Names.of(name)
        text = f"{option.help} (default: {option.default})" if option.default else option.help
        parser.addini(names.ini, text, type=option.ini_type, default=None)
        if option.cli:
            value: dict[str, Any] = {"action": "store_true"} if option.switch else {"metavar": option.metavar}
            group.addoption(names.argument, dest=names.ini, default=None, help=text, **value)


def read(config: pytest.Config) -> Settings:
    """Read the settings of this run.

    Raises RolecallError for a value of the wrong type, a value that is not one of the choices, a path that does not
    exist, and options that exclude each other.
    """
    sources = {name: _source(config, name, option) for name, option in options().items()}
    if _is_set(sources["pg_bin"]) and _is_set(sources["pg_dsn"]):
        raise RolecallError("--rolecall-pg-bin and --rolecall-pg-dsn exclude each other: give one of the two.")
    settings = Settings(**{name: option.read(sources[name]) for name, option in options().items()})
    if settings.coverage and settings.mutants:
        raise RolecallError("--rolecall-coverage and --rolecall-mutants exclude each other: give one of the two.")
    if settings.update and settings.mutants:
        raise RolecallError("--rolecall-update and --rolecall-mutants exclude each other: give one of the two.")
    return settings


def _is_set(source: Source) -> bool:
    return bool(source.text)


def _source(config: pytest.Config, name: str, option: Option) -> Source:
    """The value of an option and where it is set; the default if it is not set."""
    names = Names.of(name)
    value = config.getoption(names.ini, default=None) if option.cli else None
    if value is not None:
        return Source(_masked(option, value), names.argument, config.invocation_params.dir)
    if names.variable in os.environ:
        return Source(_masked(option, os.environ[names.variable]), names.variable, config.rootpath)
    try:
        value = config.getini(names.ini)
    except (TypeError, ValueError, pytest.UsageError) as error:  # a value of another type
        raise RolecallError(f"{names.ini}: {TYPES[option.ini_type]} ({error}).") from None
    if value is None:
        value = option.default or ""
    return Source(_masked(option, value), names.ini, config.rootpath)


def _masked(option: Option, value: Any) -> Any:
    """The value; a connection string as a Conninfo, which hides its secrets."""
    if not option.secret or not value:
        return value
    from rolecall.dsn import Conninfo

    return Conninfo(value)
