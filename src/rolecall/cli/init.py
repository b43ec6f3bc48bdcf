"""``rolecall init``: propose the tests of a project, with what its personas may do now."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from rolecall import platforms
from rolecall import settings as options_of
from rolecall.errors import RolecallError
from rolecall.init import find, summary, write
from rolecall.init.propose import Proposal, propose
from rolecall.server import choose
from rolecall.server.choose import Server
from rolecall.settings import LAYOUTS, Settings
from rolecall.sql.layouts import AUTO

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

HELP = "write a first version of a project's tests"
DESCRIPTION = (
    "Write a first version of a project's tests: personas and rows from what the policies ask for, and a grid for each "
    "table with the verdicts that were observed, each with a question mark. Run it in the project's folder. Nothing "
    "that exists is overwritten. Exit status: 0 if the tests are written, 2 if not."
)


def add(commands: Commands) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser("init", help=HELP, description=DESCRIPTION)
    parser.add_argument(
        "path",
        nargs="?",
        default=".",
        metavar="PATH",
        help="the folder of the migrations, or an SQL file or dump (default: looked for in this folder)",
    )
    parser.add_argument("--layout", choices=(AUTO, *LAYOUTS), default=AUTO, help="layout of the migrations")
    parser.add_argument("--platform", choices=tuple(platforms.NAMES), help="default: found out from the SQL")
    parser.add_argument("--pg", type=int, choices=sorted(choose.EMBEDDED), help="version of the embedded PostgreSQL")
    parser.add_argument(
        "--into", default="tests/access", metavar="DIR", help="folder of the tests (default: tests/access)"
    )
    parser.set_defaults(run=run, error_status=2)


def run(options: argparse.Namespace) -> None:
    """Propose the tests, write them, and print the summary. Raises RolecallError if they cannot be made."""
    start, root = monotonic(), Path.cwd()
    folder = (root / options.into).resolve()
    if not folder.is_relative_to(root) or folder == root:
        raise RolecallError(f"--into {options.into}: name a folder below {root}.")
    write.require_room(root, folder)
    found = find.find(root / options.path, options.layout, options.platform)
    settings = _settings(found, options)
    with choose.running(settings) as server:
        proposal = _propose(server, settings, found)
    name = folder.relative_to(root).as_posix()
    configured = _write(proposal, root, folder, found.lines(root) | _more(proposal, options, name))
    print("\n".join(summary.lines(proposal, monotonic() - start)))
    steps = ["pytest", f"git diff, and remove the question marks in {name}/test_*.py"]
    if configured:
        steps.insert(0, f"add the settings above to {configured.name}")
    source = found.path.relative_to(root) if found.path.is_relative_to(root) else found.path
    print("\n  ".join([f"\nwrote {name} from {source}. Next:", *steps]))


def _propose(server: Server, settings: Settings, found: find.Project) -> Proposal:
    """The proposal. It, and an error, name the SQL files beside the one that was read."""
    note = f"\n{found.note}" if found.note else ""
    try:
        proposal = propose(server, settings)
    except RolecallError as error:
        raise RolecallError(f"{error}{note}") from None
    if note:
        print(f"{note[1:]}\n")
    return proposal


def _settings(found: find.Project, options: argparse.Namespace) -> Settings:
    """The settings of the environment, with what was found."""
    read: list[Settings] = []

    class Reader:
        @pytest.hookimpl(tryfirst=True)
        def pytest_cmdline_main(self, config: pytest.Config) -> int:
            read.append(options_of.read(config))
            return 0

    pytest.main(["--assert=plain", "--noconftest"], plugins=[Reader()])
    if not read:
        raise RolecallError("pytest cannot read the configuration of this folder: see its message.")
    settings = replace(
        read[0],
        platform=platforms.NAMES[found.platform],
        baseline=found.path if found.is_dump else None,
        migrations=None if found.is_dump else found.path,
        layout=options.layout,
    )
    return replace(settings, pg=options.pg) if options.pg else settings


def _more(proposal: Proposal, options: argparse.Namespace, folder: str) -> dict[str, str]:
    """Settings that are not the default. ``folder`` is that of the tests."""
    proposed = {"rolecall_baseline": f"{folder}/{write.ROLES}"} if proposal.roles else {}
    proposed |= {"rolecall_seed": f"{folder}/{write.SEED}"} if proposal.seed else {}
    layout = {} if options.layout == AUTO else {"rolecall_layout": options.layout}
    version = {"rolecall_pg": str(options.pg)} if options.pg else {}
    privileges = {"rolecall_default_privileges": proposal.default_privileges} if proposal.default_privileges else {}
    return proposed | layout | version | privileges


def _write(proposal: Proposal, root: Path, folder: Path, settings: dict[str, str]) -> Path | None:
    """Write the files. Returns the file that configures pytest already; None without one."""
    texts = write.files(proposal, root, folder, settings)
    configured = write.configured_by(root)
    if configured:
        del texts[root / "pytest.ini"]
        name = folder.relative_to(root).as_posix()
        print("\n".join([*summary.missing_settings(configured.name, name, settings, proposal.without_grid), ""]))
    write.write(texts)
    return configured
