"""Every table that the migrations create or put policies on has a grid; some are tried again with more visible rows."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from rolecall import Grid, Session, World
from rolecall.access.persona import Persona
from rolecall.catalog.manifest import Manifest
from tests.requests import seem_to_use_tcp


def test_every_table_has_a_grid(manifest: Manifest, grids: list[Grid]) -> None:
    assert len(manifest.tables) == 6
    assert sorted(grid.table for grid in grids) == manifest.tables


def test_every_grid_says_what_its_writes_change(grids: list[Grid]) -> None:
    assert [grid.table for grid in grids if grid.changes is None] == []


@pytest.mark.parametrize("table", ["scheduling.appointment_services", "catalog.service_booking_rules"])
def test_a_grid_does_not_depend_on_policies_of_other_tables(
    db: Session, grids: list[Grid], mismatches: Callable[[Grid], list[str]], table: str
) -> None:
    # The policies read these tables. They must not depend on the policies there, which the application may change.
    for other in ("scheduling.appointments", "organization.staff_profiles", "organization.salons"):
        db.execute(f"CREATE POLICY everybody ON {other} FOR SELECT USING (true)")
    (grid,) = (each for each in grids if each.table == table)
    assert mismatches(grid) == []


@pytest.mark.parametrize(
    ("persona", "statement"),
    [
        pytest.param("customer", "UPDATE engagement.customer_favorites SET customer_id = NULL", id="a favourite"),
        pytest.param("owner", "UPDATE catalog.service_booking_rules SET salon_id = NULL", id="a rule"),
        pytest.param("owner", "INSERT INTO catalog.service_booking_rules (service_id) VALUES (NULL)", id="a new rule"),
        pytest.param("customer", "UPDATE storage.objects SET bucket_id = NULL", id="an avatar"),
    ],
)
def test_the_policies_refuse_null(db: Session, persona: str, statement: str) -> None:
    # The policy refuses NULL before a NOT NULL does.
    with db.acting_as(persona), db.raises("42501", message="row-level security"):
        db.execute(statement)


# ------------------------------------------------------------------ unusual requests

TABLES = (
    *("scheduling.appointment_services", "communication.message_threads", "engagement.customer_favorites"),
    *("audit.audit_logs", "catalog.service_booking_rules", "storage.objects"),
)
every_table = pytest.mark.parametrize("table", TABLES)


def grid_of(grids: list[Grid], table: str) -> Grid:
    (grid,) = (grid for grid in grids if grid.table == table)
    return grid


@every_table
@pytest.mark.parametrize("subject", ["customer", "staff"])
def test_the_service_is_the_service_also_with_a_subject(
    world: World,
    grids: list[Grid],
    mismatches: Callable[[Grid], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    table: str,
    subject: str,
) -> None:
    """The token of a server may name a user. The role of the session decides."""
    service = world.personas["service"]
    claims = {**service.claims, "sub": world.personas[subject].subject}
    monkeypatch.setitem(world.personas, "service", replace(service, claims=claims))
    grid = grid_of(grids, table)
    cells = tuple(cell for cell in grid.cells if cell.persona == "service")
    assert cells
    assert mismatches(replace(grid, cells=cells)) == []


@every_table
def test_neither_the_method_nor_the_connection_decides(
    db: Session,
    grids: list[Grid],
    mismatches: Callable[[Grid], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    table: str,
) -> None:
    """A PUT, which PostgREST takes for an upsert of one row, over TCP: other tests connect by a socket."""
    settings = Persona.settings
    monkeypatch.setattr(Persona, "settings", lambda self, method: [*settings(self, method), ("request.method", "PUT")])
    seem_to_use_tcp(db)
    assert mismatches(grid_of(grids, table)) == []
