"""The mutants of a run with their places in the SQL: ``mutants.json``, which is written at its end and read later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from rolecall.catalog.places import Places
from rolecall.catalog.spans import Source, Span
from rolecall.errors import RolecallError
from rolecall.gather.run import ADVICE, read_json
from rolecall.mutants.records import Record
from rolecall.report.report import Place, ReportedMutants
from rolecall.report.results import MutationScore, Survivor
from rolecall.report.stryker import KEY, Extent, TriedMutant
from rolecall.sql import files

FILE = "mutants.json"
PARTS_OF_A_TABLE = ("column", "policy", "constraint", "index", "trigger")


def tried(records: Iterable[Record], places: Places) -> tuple[list[TriedMutant], dict[str, str]]:
    """The mutants with their places, the survivors first, and the texts of the SQL files by their path."""
    mutants: list[TriedMutant] = []
    sources: dict[str, str] = {}
    script = cache(_script)
    for record in sorted(records, key=lambda record: (record.survivor is None, record.id)):
        span = _of_script(record, script(Path(record.script))) if record.script else _of_object(record, places)
        mutants.append(_mutant(record, places, span))
        if span:
            sources[places.file(span.source.path)] = files.read(span.source.path)
    return mutants, sources


def _script(path: Path) -> Source:
    return Source(path, files.read(path))


def _of_script(record: Record, source: Source) -> Span:
    return Span(source, record.start, record.start + len(record.before), record.before)


def _of_object(record: Record, places: Places) -> Span | None:
    if record.kind in PARTS_OF_A_TABLE:
        return places.span(record.kind, record.name, record.owner) or places.span("table", record.owner)
    return places.span(record.kind, f"{record.owner}.{record.name}" if record.owner else record.name)


def _mutant(record: Record, places: Places, span: Span | None) -> TriedMutant:
    place, extent = (places.place(span), Extent(span.begins, span.ends)) if span else (Place(), Extent((1, 1), (1, 2)))
    return TriedMutant(
        id=record.id,
        target=record.target,
        change=record.change,
        operator=record.operator,
        before=record.before,
        after=record.after,
        outcome=record.outcome,
        reason=record.reason,
        test=record.test,
        place=place,
        extent=extent,
        milliseconds=round(record.seconds * 1000, 1),
        survivor=record.survivor,
    )


def read(folder: Path) -> ReportedMutants | None:
    """The mutants whose report is in a folder; None without one. Raises RolecallError for what cannot be read."""
    path = folder / FILE
    data = read_json(path)
    if data is None:
        return None
    try:
        own = data["config"][KEY]
        survivors: Sequence[Survivor] = [Survivor(**each) for each in own["survivors"]]
        return ReportedMutants(MutationScore(**own["score"]), survivors, data)
    except (KeyError, TypeError) as error:
        raise RolecallError(f"{path} is not a report of rolecall's mutants ({error}). {ADVICE}") from None
