"""Writes ``docs/league.md`` from the stored result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from league.cases import MISTAKE, REWRITE
from league.results import COLUMNS, Result, of

PAGE = Path(__file__).parent.parent / "docs" / "league.md"
TEXT = """\
# League

`make league` runs rolecall and other tools on the same broken schemas, and writes this page from
`league/results/league.json`. Each case is one change of this repository's schema. Each tool looks at each case in a
clone of its own. The server is {server}.

{note}{table}

- **mutants**: a sample of what `make mutants` runs, chosen by the seed {seed}. rolecall's suite is tested with these
  operators, so it has an advantage here.
- **defects**: the [findings](findings.md) of this repository that concern the schema, put back from `tests/defects/`.
  rolecall's suite has a test for each, so it has an advantage here, too.
- **mistakes**: `league/mistakes/`, written by hand. No mutation operator makes them. This is the fairest column.
- **false alarms**: `league/rewrites/`, the same schema in other words. A tool should find nothing new.
- **seconds**: how long the tool takes for the unchanged schema, once its database is there.

**rolecall, by behaviour** runs without `verify.sql` and without the tests that read the catalog, those of indexes among
them. It does not notice a dropped index, and what no behaviour shows: `tests/pinned.txt` says why.

**Noticed** means that the tool finds something that it does not find in the unchanged schema: another rule, or the
same rule for another object. It counts for whatever reason: a linter that warns of a slow policy has noticed the
edit. The JSON has the first new finding of each case. The second column says what the tool compares with. A tool that
compares with a snapshot, or with the text of the catalog, notices every edit of what it compares, whether it is
harmless or not. The column "false alarms" shows this.

## The tools

Each tool is run with all its rules, as its documentation says. They were made for different things. A linter needs
neither rows nor tests, and is set up in a minute. rolecall needs both.

{tools}

What each tool gets: pgrls a list of the columns that say whose row it is (`league/tools/pgrls.toml`); splinter the
schemas that the API serves; rlsautotest a database with rows and pgTAP, and the right to delete rows of
`storage.objects`; pgTAP assertions that are generated from rolecall's grids and from the catalog.

## The mistakes

The numbers are those of the tools above.

{mistakes}

## The rewrites

{rewrites}
"""

NOTE = """\
**This is a try, not a result:** {limit} cases of each kind, on a busy machine. `make league` runs all of them.

"""


def write() -> Path:
    """Write the page. The league must have run once."""
    PAGE.write_text(render(Result.read()), encoding="utf-8")
    return PAGE


def render(result: Result) -> str:
    """The page."""
    return TEXT.format(
        server=result.server,
        note=NOTE.format(limit=result.limit) if result.limit is not None else "",
        table="\n".join(_table(result)),
        seed=result.seed,
        tools="\n".join(_tools(result)),
        mistakes="\n".join(_cases(result, MISTAKE)),
        rewrites="\n".join(_cases(result, REWRITE)),
    )


def _table(result: Result) -> Iterator[str]:
    compares_with = {each.name: each.compares_with for each in result.standings}
    yield f"| | compares with | {' | '.join(COLUMNS.values())} | seconds |"
    yield "|---|---|---:|---:|---:|---:|---:|"
    for name, counts, seconds in result.rows():
        yield f"| {name} | {compares_with.get(name, '')} | {' | '.join(map(of, counts.values()))} | {seconds:.1f} |"


def _tools(result: Result) -> Iterator[str]:
    yield "| | | version | made for | commands |"
    yield "|---:|---|---|---|---|"
    for number, each in enumerate(result.standings, start=1):
        commands = "<br>".join(f"`{command}`" for command in each.commands)
        yield f"| {number} | {each.name} | {each.version} | {each.made_for} | {commands} |"


def _cases(result: Result, kind: str) -> Iterator[str]:
    yield f"| | {'called a problem by' if kind == REWRITE else 'noticed by'} |"
    yield "|---|---|"
    for case, title in result.titles.items():
        if case.startswith(f"{kind}: "):
            numbers = [str(n) for n, each in enumerate(result.standings, start=1) if each.noticed.get(case) is not None]
            yield f"| {title} | {', '.join(numbers) or '-'} |"
