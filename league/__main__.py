"""``python -m league``: run the league, write ``league/results/league.json`` and ``docs/league.md``.

``--page`` runs nothing and writes the page again. ``--tools`` and ``--kinds`` run some of the tools or cases, and
store nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from rich.console import Console

from benchmarks import enorae
from benchmarks.enorae import Project
from benchmarks.results import machine
from league import behaviour, match, page, terminal
from league.cases import (
    DEFECT,
    KINDS,
    MISTAKE,
    MISTAKES,
    MUTANT,
    REWRITE,
    REWRITES,
    Case,
    Objects,
    of_defects,
    of_folder,
    of_mutants,
    sample,
    some,
)
from league.lab import Lab
from league.programs import ToolError
from league.results import Result
from league.tools import TOOLS
from rolecall.catalog import definitions
from rolecall.errors import RolecallError
from rolecall.mutants.declarations import Declarations
from rolecall.mutants.plugin import all_mutants

BEHAVIOUR = "behaviour"
NAMES = tuple(tool.__name__ for tool in TOOLS)


def main() -> None:
    """Run the league, and show and store the result."""
    parser = argparse.ArgumentParser(prog="python -m league", description="rolecall and other tools on broken schemas.")
    parser.add_argument("--mutants", type=int, default=2, metavar="N", help="mutants of each operator (default: 2)")
    parser.add_argument("--seed", type=int, default=1, help="chooses the mutants (default: 1)")
    parser.add_argument("--limit", type=int, metavar="N", help="N cases of each kind alone")
    parser.add_argument("--tools", nargs="*", metavar="TOOL", help=f"of {', '.join(NAMES)}, {BEHAVIOUR}; store nothing")
    parser.add_argument(
        "--kinds", nargs="*", metavar="KIND", choices=KINDS, help=f"of {', '.join(KINDS)}; store nothing"
    )
    parser.add_argument("--page", action="store_true", help="run nothing: write the page again")
    options = parser.parse_args()
    console = Console()
    if unknown := sorted(set(options.tools or ()) - {*NAMES, BEHAVIOUR}):
        parser.error(f"unknown tool {', '.join(unknown)}: choose from {', '.join([*NAMES, BEHAVIOUR])}")
    if not options.page:
        try:
            result = run(options, console)
        except (RolecallError, ToolError) as error:
            sys.exit(f"ERROR: {error}")
        terminal.show(result, console)
        if options.tools or options.kinds:
            return
        console.print(f"results in {result.save()}", highlight=False)
    console.print(f"page in {page.write()}", highlight=False)


def run(options: argparse.Namespace, console: Console) -> Result:
    """Run the chosen tools on the chosen cases."""
    tools = options.tools or [*NAMES, BEHAVIOUR]
    with enorae.project() as project:
        lab = Lab(project)
        cases = [case for kind in options.kinds or KINDS for case in some(chosen(lab, kind, options), options.limit)]
        titles = {case.id: case.title for case in cases}
        result = Result(options.seed, options.limit, project.run.server, titles, machine=machine())
        for tool in (tool for tool in TOOLS if tool.__name__ in tools):
            console.print(f"  {tool.name}: {len(cases)} cases", highlight=False)
            result.standings.append(match.play(lab, tool, cases))
    if BEHAVIOUR in tools:
        console.print(f"  {behaviour.NAME}: {len(cases)} cases", highlight=False)
        result.standings.append(behaviour.play(cases))
    return result


def chosen(lab: Lab, kind: str, options: argparse.Namespace) -> Sequence[Case]:
    """The cases of a kind. Mutants that the server refuses are left out; raises RolecallError for any other."""
    cases = all_of(lab.project, kind, options)
    problems = {case.id: lab.problem(case) for case in cases}
    for name, problem in problems.items():
        if problem and kind != MUTANT:
            raise RolecallError(f"{name} cannot be applied: {problem}")
    return [case for case in cases if not problems[case.id]]


def all_of(project: Project, kind: str, options: argparse.Namespace) -> list[Case]:
    """The cases of a kind; of the mutants a sample, without those that are declared equivalent."""
    manifest = project.worker.manifest
    schema = definitions.read(project.connection, manifest, project.world, [])
    objects = Objects.of(manifest, schema)
    if kind == MUTANT:
        declarations = Declarations.read(enorae.ROOT / "tests" / "equivalents.txt", None)
        mutants = [mutant for _, mutant in all_mutants(schema) if not declarations.of(mutant.id)]
        return of_mutants(sample(mutants, options.mutants, options.seed))
    if kind == DEFECT:
        return of_defects(objects)
    folder = {MISTAKE: MISTAKES, REWRITE: REWRITES}[kind]
    return of_folder(kind, folder, objects)


if __name__ == "__main__":
    main()
