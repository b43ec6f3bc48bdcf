"""The questions as a user asks them: names are looked up, and the kind of object decides how it is tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rolecall.ask.answer import Answer, Repairs, Who
from rolecall.ask.explain import cells_of, explain_rows
from rolecall.ask.functions import explain_function
from rolecall.ask.names import split_call
from rolecall.ask.project import EXECUTE, Project
from rolecall.ask.repairs import repairs_of_function, repairs_of_rows
from rolecall.ask.who import who_of_function, who_of_rows, who_of_whole
from rolecall.ask.whole import explain_whole
from rolecall.errors import RolecallError


def explain(
    project: Project, text: str, command: str, persona: str, row: str | None, expected: str | None
) -> list[Answer]:
    """The answers to ``rolecall explain``. Raises RolecallError for a name that does not exist."""
    persona = project.persona(persona)
    name, arguments, command = _read(project, text, command)
    if command == EXECUTE:
        _no_row(name, row)
        answers = explain_function(project, name, arguments, persona)
    elif tested := project.tested(name, command):
        return explain_rows(project, tested, command, persona, row=row, expected=expected)
    else:
        if row is not None:
            project.row(name, row)
        answers = [explain_whole(project, name, command, persona)]
    return [_expecting(each, expected) for each in answers]


def who(project: Project, text: str, command: str, row: str | None) -> list[Who]:
    """The answers to ``rolecall who``. Raises RolecallError for a name that does not exist."""
    name, arguments, command = _read(project, text, command)
    if not project.world.personas:
        raise RolecallError("the world has no personas: add some in pytest_rolecall_world.")
    if command == EXECUTE:
        _no_row(name, row)
        return who_of_function(project, name, arguments)
    if tested := project.tested(name, command):
        return [who_of_rows(project, tested, command, row)]
    if row is not None:
        project.row(name, row)
    return [who_of_whole(project, name, command)]


def fix(project: Project, answers: Sequence[Answer]) -> Repairs:
    """The shortest repair of the answers that differ. Raises RolecallError if none does."""
    wrong = [each for each in answers if each.differs]
    if not wrong:
        known = any(each.expected for each in answers)
        what = "nothing differs from what the grid says" if known else "no grid says what should be"
        raise RolecallError(f"{what}: give the verdict that you want with --expect.")
    first = wrong[0]
    if first.command == EXECUTE:
        return repairs_of_function(project, wrong)
    tested = project.tested(first.object, first.command)
    if tested is None:
        text = f"--fix needs a row of {first.object} in the world, to know what a change changes"
        raise RolecallError(f"{text}: add one in pytest_rolecall_world.")
    cells = [
        cell
        for each in wrong
        for cell in cells_of(project, tested, each.command, each.persona, row=each.row, expected=each.expected)
    ]
    has_error = any("error" in each.verdict for each in wrong)
    return repairs_of_rows(project, tested, cells, has_error=has_error)


def _read(project: Project, text: str, command: str) -> tuple[str, str | None, str]:
    """The object, its arguments and the command of a question."""
    function, arguments = split_call(text)
    name = project.object(function)
    if project.names[name] == "function":
        if command.lower() != EXECUTE:
            raise RolecallError(f"unknown command {command!r}: {name} is a function, which has execute.")
        return name, arguments, EXECUTE
    if arguments is not None:
        raise RolecallError(f"{name} is no function: write it without parentheses.")
    if command.lower() == EXECUTE:
        raise RolecallError(f"unknown command 'execute': {name} is a table or view. Ask about select, insert, update …")
    return name, None, project.command(name, command)


def _no_row(name: str, row: str | None) -> None:
    if row is not None:
        raise RolecallError(f"--row {row!r}: {name} is a function, which has no rows.")


def _expecting(answer: Answer, expected: str | None) -> Answer:
    return replace(answer, expected=expected) if expected else answer
