"""``rolecall check``: compare a database with what the project's SQL makes."""

from __future__ import annotations

import argparse
import json
import os
from contextlib import ExitStack, closing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import psycopg
import pytest

from rolecall import settings as options_of
from rolecall.drift import check, expected, target, text
from rolecall.drift.check import Report
from rolecall.drift.target import Target
from rolecall.errors import RolecallError
from rolecall.server import choose
from rolecall.settings import Settings

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

HELP = "compare a database with what the project's migrations make"
DESCRIPTION = (
    "Compare a database with what the project's migrations make, and list what is missing, what differs, what is in "
    "the way of the steps that are not applied yet, and what weakens those that are. Run it in the folder of the "
    "project's pytest configuration. The database is only read. Exit status: 0 without a difference, 1 with one, 2 if "
    "the check cannot be made."
)
TARGET = (
    "the database: a URL (postgresql://…), a connection string (host=… dbname=…), the name of a libpq service, or a "
    "dump (an .sql file). If it has a password, set ROLECALL_CHECK_TARGET instead: everybody on the machine can see "
    "arguments"
)
VARIABLE = "ROLECALL_CHECK_TARGET"


def add(commands: Commands) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser("check", help=HELP, description=DESCRIPTION)
    parser.add_argument("target", nargs="?", metavar="TARGET", help=TARGET)
    parser.add_argument(
        "--phase", type=int, metavar="N", help="the last phase that is applied; 0: none (default: found out)"
    )
    parser.add_argument("--strict", action="store_true", help="also fail at a warning")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.set_defaults(run=run, error_status=2)


def run(options: argparse.Namespace) -> int:
    """Check, and print the report. Returns the exit status. Raises RolecallError if the check cannot be made."""
    source = VARIABLE if options.target is None and VARIABLE in os.environ else "TARGET"
    named = Target.of((os.environ.get(VARIABLE, "") if options.target is None else options.target).strip(), source)
    settings, personas = read_project()
    try:
        report, title = _report(named, settings, personas, options.phase)
    except psycopg.Error as error:
        raise RolecallError(f"the check failed: {' '.join(str(error).split())}") from None
    print(as_json(report) if options.format == "json" else text.render(report, title))
    return int(report.fails(strict=options.strict))


def read_project() -> tuple[Settings, list[str]]:
    """The settings of the project in this folder, and the roles of its personas. No test is collected or run.

    Raises RolecallError if pytest cannot read them; pytest has printed why.
    """
    found: list[tuple[Settings, list[str]]] = []

    class Reader:
        @pytest.hookimpl(tryfirst=True)
        def pytest_cmdline_main(self, config: pytest.Config) -> int:
            settings = options_of.read(config)
            world = config.hook.pytest_rolecall_world(seed=settings.world_seed, config=config)
            found.append((settings, sorted({each.role for each in world.personas.values()} if world else ())))
            return 0

    # Without --assert=plain, pytest warns that rolecall is imported already.
    pytest.main(["--assert=plain"], plugins=[Reader()])
    if not found:
        raise RolecallError("pytest cannot read the configuration of this folder: see its message.")
    return found[0]


def _report(named: Target, settings: Settings, personas: list[str], phase: int | None) -> tuple[Report, str]:
    with ExitStack() as stack:
        connection = None if named.dump else stack.enter_context(closing(named.open()))
        if connection:
            settings = nearest(settings, connection.info.server_version)
        server = stack.enter_context(choose.running(settings))
        wanted, own = stack.enter_context(expected.built(server, settings))
        if phase not in (None, 0, *wanted.phases) or (phase is not None and not wanted.phases):
            numbers = ", ".join(map(str, wanted.phases)) or "none"
            raise RolecallError(f"--phase {phase}: the project has no such phase. Its phases: {numbers}.")
        if connection:
            found = target.read(connection, target.schemas(wanted.start, wanted.head))
        else:
            assert named.dump
            found = target.read_dump(server, settings, named.dump, wanted.head)
        report = check.check(wanted, found, personas=personas, phase=phase, rewrite=target.Rewriter(own))
        title = f"{named} (PostgreSQL {_version(found.version)})\nagainst this project's SQL on {server}"
        return report, title


def nearest(settings: Settings, version: int) -> Settings:
    """The settings with the embedded version that is nearest to a server's, unless a server is configured."""
    if settings.pg_dsn or settings.pg_bin:
        return settings
    return replace(settings, pg=min(choose.EMBEDDED, key=lambda each: (abs(each - version // 10000), -each)))


def _version(number: int) -> str:
    return f"{number // 10000}.{number % 10000}"


def as_json(report: Report) -> str:
    """The report as JSON."""
    data = asdict(report) | {"ours": [" ".join(filter(None, item)) for item in report.ours]}
    for name in ("drift", "missing", "in_the_way"):
        data[name] = [
            {**asdict(each), "item": None, "object": each.item.object, "part": each.item.part}
            | {"rank": each.rank.name.lower()}
            for each in getattr(report, name)
        ]
        for each in data[name]:
            del each["item"]
    return json.dumps(data, indent=2, ensure_ascii=False)
