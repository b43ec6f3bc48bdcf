"""Build the two templates: the baseline, and the baseline with the migrations. Each worker clones them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import psycopg

from rolecall import platforms
from rolecall.catalog import objects, overloads, unprotected
from rolecall.catalog.manifest import Manifest
from rolecall.catalog.unprotected import Unprotected
from rolecall.database.run import Run
from rolecall.database.scripts import run_file, run_script
from rolecall.dump import stand_ins
from rolecall.dump.left_out import LeftOut
from rolecall.dump.reading import is_dump
from rolecall.dump.rules import PLATFORM_SCHEMAS
from rolecall.errors import RolecallError, SqlError
from rolecall.report.progress import BuildStep, Progress, no_progress
from rolecall.server.connection import ServerConnection
from rolecall.settings import Settings
from rolecall.sql import files, migrations
from rolecall.sql.script import parse

TRIED_BY_NAME = ("view", "function", "foreign table")  # a statement that names one tries it
OPEN = ("table", *TRIED_BY_NAME)  # the kinds of objects that may be unprotected
PARSED_AHEAD = 200  # scripts at most: parse() keeps 256 results, also those of the platform and the baseline


def build(run: Run, settings: Settings, progress: Progress = no_progress) -> Manifest:
    """Create both databases: the baseline, and a copy of it with the migrations. Returns the manifest.

    Raises RolecallError or SqlError for the first step that fails, before any test has run.
    """
    role = migration_role(run, settings)
    phases = migrations.of(settings)
    steps = [(number, step) for number, phase in enumerate(phases, 1) for step in phase.steps]
    total = bool(settings.platform) + bool(settings.baseline) + len(steps)
    begin = _counting(progress, total)
    run.create(run.baseline)
    with run.connect(run.baseline) as connection:
        if settings.platform:
            begin(f"platform: {settings.platform.name}")
        run_platform(run, connection, settings, role)
        platform = objects.objects(connection)
        if settings.baseline:
            begin(f"baseline: {settings.baseline.name}")
        left_out = _run_baseline(run, connection, settings, role)
        before = objects.objects(connection)
    run.create(run.template, run.baseline)
    with run.connect(run.template) as connection:
        for number, step in steps:
            begin(f"phase {number} of {len(phases)}: {step.path.name}")
            run_script(run, connection, step, role)
        is_open = open_in_baseline(run, settings)
        manifest = describe(connection, settings, Baseline(role, platform, before, left_out, is_open))
        connection.execute("ANALYZE")  # the catalogs, too: load() does the rest
    run.comment_on(run.template, **manifest.as_comment())
    return manifest


def parse_ahead(settings: Settings) -> None:
    """Parse the files that :func:`build` will run, while the server starts. Their errors are for :func:`build`."""
    with suppress(RolecallError):
        for path in (*_platform_files(settings), *filter(None, [settings.baseline, settings.requires])):
            if not is_dump(text := files.read(path)):  # a dump is read in another way
                parse(text)
        scripts = (script for phase in migrations.of(settings) for script in phase.scripts)
        for script in islice(scripts, PARSED_AHEAD):
            parse(script.read())


class Baseline(NamedTuple):
    """What a manifest needs to know of the baseline: the objects of the platform, those of both, and which are open."""

    role: str | None
    platform: list[objects.Object]
    objects: list[objects.Object]
    left_out: list[LeftOut]
    is_open: Unprotected


def open_in_baseline(run: Run, settings: Settings) -> Unprotected:
    """What row-level security does not protect in the baseline, for all roles that exist now."""
    with run.connect(run.baseline) as connection:
        return unprotected.read(connection, by_default=settings.default_privileges == "granted")


def describe(connection: ServerConnection, settings: Settings, baseline: Baseline) -> Manifest:
    """The manifest of the database that a connection is to, which has all steps."""
    phases = migrations.of(settings)
    after = objects.objects(connection)
    found = unprotected.read(connection, by_default=settings.default_privileges == "granted")
    new = _without_stand_ins(objects.added(baseline.objects, after), after)
    tables = {item.owner for item in new if item.kind == "policy"}
    tables |= {item.full_name for item in new if item.kind == "table"}
    of_project = new if phases else objects.added(baseline.platform, baseline.objects)
    protected = _protected(of_project)
    own = [item for item in of_project if item.kind in OPEN and _is_own(item.full_name)]
    opened = unprotected.opened(baseline.is_open, found)  # of the baseline, by the migrations
    own += [item for item in baseline.objects if item.kind in OPEN and opened & {*item.names}]
    notes = [note for phase in phases for note in phase.session_notes()]
    rollbacks = [phase.title for phase in phases if phase.rolls_back]
    own_open = unprotected.of(found, {name for item in own for name in item.names})
    is_open = {*own_open.relations, *own_open.functions}
    tried = [item for item in own if item.kind in TRIED_BY_NAME and is_open & {*item.names}]
    called = {item.full_name for item in [*new, *tried] if item.kind == "function"}
    shared = overloads.read(connection, called)
    rest = rollbacks, notes, baseline.left_out, shared
    return Manifest(baseline.role, new, sorted(tables), protected, own_open, tried, *rest)


def _counting(progress: Progress, total: int) -> Callable[[str], None]:
    """A function that shows the next step of ``total``, by what it is."""
    numbers = count(1)
    return lambda what: progress(BuildStep(what, next(numbers), total))


def _without_stand_ins(added: list[objects.Object], after: list[objects.Object]) -> list[objects.Object]:
    """The new objects without those of stand-ins for extensions: nobody tests these, as those of extensions."""
    made = stand_ins.of_stand_ins([item.full_name for item in after]) & {item.full_name for item in added}
    schemas = {name.split(".")[0] for name in made} & PLATFORM_SCHEMAS
    return [
        item
        for item in added
        if not {item.full_name, item.owner} & made and not (item.kind == "usage" and item.owner in schemas)
    ]


def _protected(added: Iterable[objects.Object]) -> list[str]:
    """The tables among the new objects that have row-level security or a policy; sorted.

    A dump may have tables of the platform. These count only if the dump has a policy for them.
    """
    tables = {item.full_name for item in added if item.kind == "table" and item.detail == "rls"}
    return sorted(set(filter(_is_own, tables)) | {item.owner for item in added if item.kind == "policy"})


def _is_own(name: str) -> bool:
    return name.partition(".")[0] not in PLATFORM_SCHEMAS


def run_platform(run: Run, connection: ServerConnection, settings: Settings, role: str | None) -> None:
    """Run the files of the platform. They read the two settings of the session.

    Raises SqlError, and RolecallError if the default privileges are not those of the role that runs the migrations.
    """
    parameters = {"default_privileges": settings.default_privileges, "migration_role": role or ""}
    for name, value in parameters.items():
        connection.execute("SELECT set_config(%s, %s, false)", [f"rolecall.{name}", value])
    for path in _platform_files(settings):
        run_file(run, connection, path)
    _check_default_privileges(connection, settings, role)


def _platform_files(settings: Settings) -> Sequence[Path]:
    return platforms.of(settings.platform).files if settings.platform else ()


def _check_default_privileges(connection: ServerConnection, settings: Settings, role: str | None) -> None:
    """Raises RolecallError if a platform grants the new objects of other roles only: that would have no effect."""
    if settings.default_privileges == "revoked":
        return
    roles = [name for (name,) in connection.execute("SELECT DISTINCT defaclrole::regrole::text FROM pg_default_acl")]
    ((runs,),) = connection.execute("SELECT quote_ident(coalesce(%s, current_user))", [role]).fetchall()
    if roles and runs not in roles:
        raise RolecallError(
            f"{settings.platform} grants default privileges on what {', '.join(sorted(roles))} creates, but the "
            f"migrations run as {runs}: they would have no effect.\n"
            f"Set rolecall_migration_role to {sorted(roles)[0]}, or grant them for {runs} in that file."
        )


def _run_baseline(run: Run, connection: ServerConnection, settings: Settings, role: str | None) -> list[LeftOut]:
    """Run the baseline, and check what the migrations require of it. Returns what was left out of a dump."""
    left_out: list[LeftOut] = []
    if settings.baseline:
        text = files.read(settings.baseline)
        if is_dump(text):
            from rolecall.dump import loading as dumps  # most baselines are none

            with run.marking(connection):
                left_out = dumps.load(connection, settings.baseline, text, role)
        else:
            run_file(run, connection, settings.baseline, role)
    if settings.requires:
        try:
            run_file(run, connection, settings.requires, role)
        except SqlError as error:
            message = error.__cause__.diag.message_primary if isinstance(error.__cause__, psycopg.Error) else error
            raise RolecallError(f"{settings.baseline} does not fit these migrations: {message}") from None
    return left_out


def migration_role(run: Run, settings: Settings) -> str | None:
    """The first candidate of the project that is not a superuser on this server. It need not exist yet.

    If the project names no role, the candidates are the platform's. Raises RolecallError if all are superusers.
    """
    candidates = settings.migration_role
    if settings.platform and not candidates:
        candidates = tuple(platforms.of(settings.platform).migration_roles)
    with run.cursor() as cursor:
        rows = cursor.execute("SELECT rolname FROM pg_roles WHERE rolsuper AND rolname = ANY (%s)", [list(candidates)])
        superusers = {name for (name,) in rows}
    others = [name for name in candidates if name not in superusers]
    if candidates and not others:
        raise RolecallError(
            f"every role of rolecall_migration_role ({', '.join(candidates)}) is a superuser on this server, and a "
            "superuser may do what the role in production may not. Add a role that is not a superuser."
        )
    return others[0] if others else None
