"""``rolecall explain``: what happens if a persona sends a command, what decides, and the shortest repair."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rolecall.errors import RolecallError

if TYPE_CHECKING:
    from rolecall.ask.answer import Answer, Repairs

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

HELP = "say what a persona can do, and which grant, policy, trigger or constraint decides"
DESCRIPTION = (
    "Sign in as a persona, try a command on a row of the world (or on all rows of the table), roll it back, and say "
    "what decided and what would change it. Run it in the folder of the project's pytest configuration. Exit "
    "status: 0, 1 if a verdict differs from the grid or from --expect, 2 if the question cannot be answered."
)
OBJECT = "a table or view (schema.name), or a function, also with arguments: \"app.f('a')\""


def add(commands: Commands) -> None:
    """Declare the subcommand."""
    parser = commands.add_parser("explain", help=HELP, description=DESCRIPTION)
    parser.add_argument("object", metavar="OBJECT", help=OBJECT)
    parser.add_argument(
        "command", metavar="COMMAND", help="select, insert, update, delete, a move of the grid, or execute"
    )
    parser.add_argument("--as", dest="persona", metavar="PERSONA", required=True, help="who sends the command")
    parser.add_argument("--row", metavar="NAME", help="the name of a row of the world (default: all rows)")
    parser.add_argument(
        "--expect", metavar="VERDICT", help="the verdict that you want: yes, -, ! … (default: the grid's)"
    )
    parser.add_argument(
        "--fix", action="store_true", help="look for the shortest repair of a verdict that differs; nothing is applied"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    parser.set_defaults(run=run, error_status=2)


def run(options: argparse.Namespace) -> int:
    """Answer, and print it. Returns the exit status. Raises RolecallError if the question cannot be answered."""
    from rolecall.ask import text
    from rolecall.ask.answer import as_json
    from rolecall.ask.project import opened
    from rolecall.ask.questions import explain, fix
    from rolecall.grids.verdicts import is_verdict

    if options.expect and not is_verdict(options.expect):
        raise RolecallError(f"--expect {options.expect!r} is no verdict: give yes, -, !, or two as in -/yes.")
    with opened() as project:
        answers = explain(project, options.object, options.command, options.persona, options.row, options.expect)
        repairs = fix(project, answers) if options.fix else None
    if options.format == "json":
        print(as_json(_data(answers, repairs)))
    else:
        print(text.answers(answers))
        if repairs:
            print(f"\n{text.repairs(repairs)}")
    return int(any(each.differs for each in answers))


def _data(answers: list[Answer], repairs: Repairs | None) -> dict[str, Any]:
    data: dict[str, Any] = {"answers": [asdict(each) | {"differs": each.differs} for each in answers]}
    return data | {"repairs": repairs} if repairs else data
