"""What the tests of the operators share: the mutants after one more migration, applied to a toy schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from rolecall.catalog import definitions, objects
from rolecall.mutants.operators.operator import Mutant, Operator
from rolecall.worker import Worker

MutantsOf = Callable[[str, Operator], dict[str, Mutant]]
Run = Callable[[str], None]


@pytest.fixture
def run(toy_worker: Worker) -> Run:
    """A function that runs statements as the migration role."""

    def run(sql: str) -> None:
        toy_worker.connection.execute(f"SET LOCAL ROLE toy_migrator; {sql}; RESET ROLE".encode())

    return run


@pytest.fixture
def mutants_of(toy_worker: Worker, run: Run) -> MutantsOf:
    """A function that runs a migration and returns an operator's mutants, by their ids without its name."""

    def mutants_of(sql: str, operator: Operator) -> dict[str, Mutant]:
        before = objects.objects(toy_worker.connection)
        run(sql)
        added = objects.added(before, objects.objects(toy_worker.connection))
        manifest = replace(toy_worker.manifest, added=[*toy_worker.manifest.added, *added])
        schema = definitions.read(toy_worker.connection, manifest, toy_worker.world, ())
        return {mutant.id.replace(f" | {operator.name}", ""): mutant for mutant in operator.mutants(schema)}

    return mutants_of
