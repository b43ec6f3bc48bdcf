"""What a reader sees in tables and views: rows of texts, as the session writes them. NULL is None."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.models.lab import Answer, Caller, Lab, Refused

Row = Mapping[str, str | None]
Table = Iterator[Row]
Tables = Mapping[str, list[Row]]

# With these policies a reader sees every row but the hidden ones, whatever the policies of the application say.
EVERY_ROW = "CREATE POLICY models_every_row ON {} FOR SELECT TO authenticated USING (true)"
BUT_THE_HIDDEN = """
    CREATE POLICY models_hidden ON {} AS RESTRICTIVE FOR SELECT TO authenticated
      USING (id::text <> ALL (string_to_array(current_setting('models.hidden'), ' ')))
"""


def by_id(rows: Iterable[Row]) -> dict[str | None, Row]:
    return {row["id"]: row for row in rows}


def prepare(lab: Lab, *tables: str) -> None:
    """Let every signed-in reader see all rows of these tables but those that an example hides."""
    lab.db.execute("SELECT set_config('models.hidden', '', true)")
    for table in tables:
        for policy in (EVERY_ROW, BUT_THE_HIDDEN):
            lab.db.execute(policy.format(table))


def read(lab: Lab, caller: Caller, relation: str) -> list[Row] | Refused:
    """All rows that the caller reads in a table or a view, in the order of the answer."""
    names = lab.columns(relation)
    texts = ", ".join(f'"{name}"::text' for name in names)
    answer: Answer = lab.ask(caller, f"SELECT {texts} FROM {relation}")
    return answer if isinstance(answer, Refused) else [dict(zip(names, row, strict=True)) for row in answer]


def same_rows(rows: Iterable[Row], expected: Iterable[Row]) -> bool:
    """Whether these are the same rows, as often, in any order."""
    return Counter(map(frozen, rows)) == Counter(map(frozen, expected))


def frozen(row: Row) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(row.items()))
