"""Answers as text for the terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from rolecall.ask.answer import Answer, Cause, Repairs, Row, Who
from rolecall.grids.verdicts import meaning
from rolecall.report.failures import Attempt, PolicyDecision

WIDTH = 14  # of the words at the beginning of a line


def _line(word: str, text: str) -> str:
    return f"  {word:{WIDTH - 2}}{text}"


def answer(each: Answer) -> str:
    """The whole answer about one row: what happens, what decides, and what would change it."""
    return "\n".join([f"{subject(each)}: {each.verdict}  {each.meaning}", *_details(each)])


def subject(each: Answer) -> str:
    """Who does what with what."""
    on = f" on {each.row!r}" if each.row else ""
    return (
        f"{each.persona}: {each.command}{on} of {each.object}"
        if on
        else f"{each.persona}: {each.command} of {each.object}"
    )


def _details(each: Answer) -> Iterator[str]:
    yield _line("signed in", f"role {each.role}, claims {json.dumps(dict(each.claims))}")
    if each.settings:
        yield _line("settings", json.dumps(dict(each.settings)))
    if each.setup:
        yield _line("and before", each.setup)
    for attempt in each.attempts:
        yield from _attempt(attempt)
    yield from (_line("grants", grant) for grant in each.grants or ["none"])
    yield from _policies("policy", each.policies)
    if each.reads:
        yield _line("reads", "the row: the SELECT policies decide too")
        yield from _policies("policy", each.reads)
    yield from (_line("note", note) for note in each.notes)
    yield from _conclusion(each)


def _attempt(attempt: Attempt) -> Iterator[str]:
    way = "  (without reading a column)" if attempt.blind else ""
    yield _line("ran", attempt.statement + way)
    yield _line("got", f"{attempt.verdict:4} {attempt.outcome}")
    if attempt.column_rows is not None:
        word = "yes " if attempt.column_rows else "-   "
        what = "writes" if attempt.writes else "reads"
        yield _line("and", f"{word} {what} single columns, granted one by one: {', '.join(attempt.columns)}")


def _policies(word: str, policies: Sequence[PolicyDecision]) -> Iterator[str]:
    for each in policies:
        yield _line(word, each.policy)
        yield _line("", f"-> {each.decision}")


def _conclusion(each: Answer) -> Iterator[str]:
    way = None
    for cause in each.decides:
        label = "decides" if cause.way != way or way is None else ""
        yield _line(label, (f"{cause.way}: " if cause.way and cause.way != way else "") + _cause(cause))
        way = cause.way
    for number, text in enumerate(each.change):
        yield _line("" if number else "to change", text)
    if each.expected:
        who = "the grid says" if each.test else "expected"
        where = f", {each.place}" if each.place else ""
        agree = "<- differs" if each.differs else ""
        yield _line("grid" if each.test else "expected", f"{who} {each.expected}{where}  {agree}".rstrip())
    elif each.test:
        yield _line("grid", f"has no verdict yet, {each.place}")
    else:
        yield _line("grid", "no test has a grid of this")


def _cause(cause: Cause) -> str:
    return f"{cause.text} ({cause.place})" if cause.place else cause.text


def answers(several: Sequence[Answer]) -> str:
    """Answers about many rows in short: one paragraph for all rows with the same answer. Functions have one each."""
    if len({each.object for each in several}) == len(several):
        return "\n\n".join(map(answer, several))
    first = several[0]
    lines = [f"{first.persona}: {first.command} of {first.object}"]
    lines.append(_line("signed in", f"role {first.role}, claims {json.dumps(dict(first.claims))}"))
    lines += [_line("grants", grant) for grant in first.grants or ["none"]]
    groups: dict[tuple[str, ...], list[Answer]] = {}
    for each in several:
        causes = tuple(f"{cause.way}: {_cause(cause)}" if cause.way else _cause(cause) for cause in each.decides)
        groups.setdefault((each.verdict, each.expected if each.differs else "", *causes), []).append(each)
    for (verdict, expected, *rest), same in groups.items():
        lines += ["", f"  {', '.join(each.row for each in same)}"]
        differs = f"  <- the {'grid says' if first.test else 'expected verdict is'} {expected}" if expected else ""
        lines.append(f"    {verdict:5} {same[0].meaning}{differs}")
        lines += [f"          {cause}" for cause in rest]
    lines += ["", "--row NAME shows one row with its statements and policies."]
    return "\n".join(lines)


def who(found: Who) -> str:
    """Who can, row by row, and who cannot."""
    lines = [f"{found.command} of {found.object}"]
    if found.statement:
        lines.append(_line("tried", found.statement))
    lines += [_line("note", note) for note in found.notes]
    for row in found.rows:
        lines += ["", *([f"  {row.row}"] if row.row else []), *_row(row)]
    return "\n".join(lines)


def _row(row: Row) -> Iterator[str]:
    groups: dict[str, list[str]] = {}
    for persona, verdict in row.can.items():
        groups.setdefault(verdict, []).append(persona)
    if not groups:
        yield "    nobody can"
    for verdict, personas in groups.items():
        words = "" if verdict == "yes" else f"   {verdict}: {meaning(verdict)}"
        yield f"    can     {', '.join(personas)}{words}"
    if row.cannot:
        others: dict[str, list[str]] = {}
        for persona, verdict in row.cannot.items():
            others.setdefault(verdict, []).append(persona)
        yield "    cannot  " + "; ".join(f"{', '.join(names)} ({verdict})" for verdict, names in others.items())


def repairs(found: Repairs) -> str:
    """The shortest repair, as SQL to read."""
    tried = f"{found.tried} change{'' if found.tried == 1 else 's'} tried"
    if found.best is None:
        almost = f"\n  The nearest one breaks something else: {found.almost}" if found.almost else ""
        return f"no repair found: {tried}, and none makes this right and leaves all other cells as they are.{almost}"
    best = found.best
    lines = [f"the shortest repair ({tried}); it was not applied:", ""]
    lines += [f"  {statement};" for statement in best.sql.split("; ")]
    lines += ["", f"  {best.what}."]
    if best.green:
        lines.append(f"  It also makes right: {_some(best.green)}.")
    if best.also:
        lines.append(f"  It also changes what no grid says: {_some(best.also)}.")
    if found.others:
        are = "1 other repair is" if found.others == 1 else f"{found.others} other repairs are"
        lines.append(f"  {are} as short.")
    return "\n".join(lines)


def _some(texts: Sequence[str], most: int = 4) -> str:
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
