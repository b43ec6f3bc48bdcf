"""The JSON Schema of the report, from its dataclasses: in the package, beside them, and in the documentation.

``python docs/schemas.py`` writes it. tests/rolecall/report/test_schema.py fails if it is out of date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from rolecall.report import report
from rolecall.report.report import Report, ReportedRun

NAME = "report.schema.json"
PATHS = (Path(report.__file__).with_name(NAME), Path(__file__).with_name(NAME))
ID = f"https://raw.githubusercontent.com/enorae/rolecall/main/src/rolecall/report/{NAME}"


def schema() -> dict[str, Any]:
    """The schema (2020-12): of a Report at its root, and of ``run.json`` in ``#/$defs/ReportedRun``."""
    adapters: list[Any] = [(each, "serialization", TypeAdapter(each)) for each in (Report, ReportedRun)]
    _, generated = TypeAdapter.json_schemas(adapters)
    definitions = generated["$defs"]
    for each in definitions.values():
        _close(each)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "The report of rolecall",
        "$ref": "#/$defs/Report",
        "$defs": definitions,
    }


def _close(definition: dict[str, Any]) -> None:
    """Every field is always written, and there is no other: pydantic leaves both open."""
    definition["required"] = list(definition["properties"])
    definition["additionalProperties"] = False
    for each in definition["properties"].values():
        each.pop("title", None)
        each.pop("default", None)


def text() -> str:
    """The schema as text."""
    return json.dumps(schema(), ensure_ascii=False, indent=2) + "\n"


def write() -> None:
    """Write the schema to each of its paths."""
    for path in PATHS:
        if not path.exists() or path.read_text(encoding="utf-8") != text():
            path.write_text(text(), encoding="utf-8")
            print(f"wrote {path}")


if __name__ == "__main__":
    write()
