"""Operators that break scripts: the steps, verify.sql and rollback.sql."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall.catalog.definitions import Schema
from rolecall.catalog.plpgsql import body_parts
from rolecall.mutants.operators.operator import Mutant, Operator, Target
from rolecall.mutants.rewrites import expressions, plpgsql, scripts
from rolecall.sql import files
from rolecall.sql.migrations import Script
from rolecall.sql.tree import edit

METHODS = ("verify", "rollback")  # the scripts that are no steps, with the methods that run them


class DropStatement(Operator):
    """Leave out one statement of a step, a verify.sql or a rollback.sql."""

    name = "statement-drop"
    stands_for = "a rollback that lacks a later addition to its step; a verify.sql that does not check something"
    catches = "a test that runs the script: apply and verify, apply twice, roll back and compare the dumps"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each statement of each script."""
        for script in schema.scripts:
            text = files.read(script.path)
            for statement in files.statements(script.read()):
                end = statement.start + len(statement.text)
                shortened = text[: statement.start] + text[end:].removeprefix(";")
                what = " ".join(statement.text.split())[:100]
                yield _mutant(self, script, f"without {what}", statement.text, shortened)


class EditStatement(Operator):
    """Change one part of a DO block of a script: a comparison, an AND, an IF, a RAISE, a call; or SET LOCAL to SET."""

    name = "statement-edit"
    stands_for = "> for >= in a rollback that counts rows; a comparison in lower case; a lock that is not taken"
    catches = "a test that runs the script in the state that this part is for: one row, another case, a second session"
    REWRITES = (
        *(expressions.swap_and_or, expressions.drop_not, expressions.change_operator, expressions.change_distinct),
        *(scripts.compare_roughly, scripts.change_boolean),
    )

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each change. If a change is possible in several scripts with the same text, the first one has it."""
        seen: set[tuple[str, str]] = set()
        for script in schema.scripts:
            text = files.read(script.path)
            kind = script.path.stem if script.path.stem in METHODS else "step"
            for statement in files.statements(script.read()):
                for what, changed in self.changes(statement.text):
                    if (key := (kind, what)) not in seen:
                        seen.add(key)
                        end = statement.start + len(statement.text)
                        whole = text[: statement.start] + changed + text[end:]
                        yield _mutant(self, script, what, statement.text, whole)

    def changes(self, statement: str) -> Iterator[tuple[str, str]]:
        """The changed statements, each with a description."""
        yield from edit(statement, [scripts.set_for_good])
        for body in scripts.bodies(statement):
            parts = [*body_parts(body)]
            for what, source in (
                *plpgsql.edit_parts(body, parts, self.REWRITES),
                *plpgsql.change_checks(body, parts),
                *plpgsql.drop_calls(body, parts),
            ):
                yield what, statement.replace(body, source)


def _mutant(operator: Operator, script: Script, what: str, before: str, text: str) -> Mutant:
    concerns = script.path.stem if script.path.stem in METHODS else "apply"
    return Mutant(operator.name, Target.script(script), concerns, what, before, text, script)
