"""The operator that breaks scripts: the steps, verify.sql and rollback.sql."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall.catalog.definitions import Schema
from rolecall.mutants.operators.operator import Mutant, Operator, Target
from rolecall.sql import files


class DropStatement(Operator):
    """Leave out one statement of a step, a verify.sql or a rollback.sql."""

    name = "statement-drop"
    stands_for = "a rollback that lacks a later addition to its step; a verify.sql that does not check something"
    catches = "a test that runs the script: apply and verify, apply twice, roll back and compare the dumps"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each statement of each script."""
        for script in schema.scripts:
            text = files.read(script.path)
            for statement in files.statements(text):
                end = statement.start + len(statement.text)
                shortened = text[: statement.start] + text[end:].removeprefix(";")
                what = " ".join(statement.text.split())[:100]
                concerns = script.path.stem if script.path.stem in ("verify", "rollback") else "apply"
                yield Mutant(
                    self.name, Target.script(script), concerns, f"without {what}", statement.text, shortened, script
                )
