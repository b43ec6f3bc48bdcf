"""The operator that breaks scripts: steps, verify.sql and rollback.sql, one statement at a time."""

from __future__ import annotations

from collections.abc import Iterator

from rolecall.catalog.definitions import Schema
from rolecall.mutants.operators.operator import Mutant, Operator
from rolecall.sql import files


class DropStatement(Operator):
    """Leave one statement of a step, of a verify.sql or of a rollback.sql out."""

    name = "statement-drop"
    stands_for = "a rollback that forgets what the step was given later; a verify that does not look"
    catches = "a test that runs the script: apply and verify, apply twice, roll back and compare the dumps"

    def mutants(self, schema: Schema) -> Iterator[Mutant]:
        """One for each statement of each script."""
        for path in schema.scripts:
            text = files.read(path)
            for statement in files.statements(text):
                end = statement.start + len(statement.text)
                what = " ".join(statement.text.split())[:100]
                yield Mutant(
                    self.name,
                    f"{path.parent.name}/{path.name}",
                    path.stem if path.stem in ("verify", "rollback") else "apply",
                    f"without {what}",
                    statement.text,
                    text[: statement.start] + text[end:].removeprefix(";"),
                    path,
                )
