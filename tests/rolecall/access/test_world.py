"""The rows of a world."""

from __future__ import annotations

import pytest

from rolecall import RolecallError, World


@pytest.mark.parametrize("table", ["notes", "public.", ".notes", "", None, 5])
def test_a_row_needs_a_table_with_its_schema(table: str) -> None:
    with pytest.raises(RolecallError) as excinfo:
        World().add(table, "a note", id=1)
    advice = 'write the table with its schema, such as "public.notes".'
    assert str(excinfo.value) == f"the world's row 'a note' is one of {table!r}: {advice}"
