"""What a reader sees in tables and views: rows of texts, as the session writes them. NULL is None."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.models.lab import Lab
from tests.models.terms import Answer, Caller, Refused, Row

# With these policies a reader sees every row but the hidden ones, whatever the policies of the application say.
EVERY_ROW = "CREATE POLICY models_every_row ON {} FOR SELECT TO authenticated USING (true)"
BUT_THE_HIDDEN = """
    CREATE POLICY models_hidden ON {} AS RESTRICTIVE FOR SELECT TO authenticated
      USING (id::text <> ALL (string_to_array(current_setting('models.hidden'), ' ')))
"""


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


def differences(rows: Iterable[Row], expected: Iterable[Row]) -> dict[str, list[dict[str, Any]]]:
    """The first rows that only the view shows, and that only the model has. Empty if both have the same rows."""
    shown, modelled = Counter(map(frozen, rows)), Counter(map(frozen, expected))
    both = {"only in the view": shown - modelled, "only in the model": modelled - shown}
    return {where: [dict(row) for row in some][:3] for where, some in both.items() if some}


def frozen(row: Row) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(row.items()))
