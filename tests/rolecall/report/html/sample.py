"""Reports for the tests of the page: one that has everything, and one with hostile names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rolecall.report.report import (
    Place,
    Report,
    ReportedColumn,
    ReportedCommand,
    ReportedFailure,
    ReportedFinding,
    ReportedMutants,
    ReportedObject,
    ReportedPersona,
    ReportedPhase,
    ReportedPolicy,
    ReportedStep,
    ReportedTests,
)
from rolecall.report.results import CoverageCount, MutationScore, Survivor

PERSONAS = (
    ReportedPersona("customer", "authenticated", {"sub": "8f1c", "role": "authenticated"}),
    ReportedPersona("other_customer", "authenticated", {"sub": "77aa", "role": "authenticated"}),
    ReportedPersona("staff", "authenticated", {"sub": "31bd", "role": "authenticated"}, {"app.salon": "1"}),
    ReportedPersona("owner", "authenticated", {"sub": "0c9e", "role": "authenticated"}),
    ReportedPersona("anon", "anon", {"role": "anon"}),
    ReportedPersona("granted_anon", "anon", {"role": "anon"}, setup="GRANT SELECT ON {table} TO anon"),
    ReportedPersona("service", "service_role", {"role": "service_role"}),
)
COMMANDS = ("select", "insert", "update", "delete")
FILE = "tests/policies/test_favorites.py"
ROWS = ("customer's favourite", "other customer's favourite", "deleted favourite")
SQL = "migrations/phase_1/02_favorites.sql"
# A line for each persona, a word for each command, in the order of the rows.
VERDICTS = {
    "customer": ("yes - -", "yes ! !", "yes - -", "yes - -", "! - -"),
    "other_customer": ("- yes -", "! yes !", "- yes -", "- yes -", "- ! -"),
    "staff": ("- - -", "! ! !", "- - -", "- - -", "- - -"),
    "owner": ("yes yes -", "! ! !", "-/yes - -", "- - -", "- - -"),
    "anon": ("! ! !", "! ! !", "! ! !", "! ! !", "! ! !"),
    "granted_anon": ("- - -", "! ! !", "! ! !", "! ! !", "! ! !"),
    "service": ("yes yes yes", "yes/! yes yes", "yes yes P0001", "yes yes yes", "yes yes yes"),
}


def favorites() -> ReportedObject:
    """A table with a grid, three example rows and four policies."""
    commands = []
    for number, command in enumerate((*COMMANDS, "give to another")):
        for row, name in enumerate(ROWS):
            commands.append(
                ReportedCommand(
                    name,
                    command,
                    f'{command.upper()} … "app"."favorites" WHERE "id" = {row + 1}',
                    [VERDICTS[each.name][number].split()[row] for each in PERSONAS],
                    lines=[12 + index for index, _ in enumerate(PERSONAS)],
                    expected={"owner": "-"} if (command, row) == ("select", 1) else {},
                    details={"service": "a trigger says: favourites stay"} if (command, row) == ("update", 2) else {},
                )
            )
    return ReportedObject(
        "app.favorites",
        "table",
        Place(SQL, 3),
        1,
        True,
        commands,
        policies=[
            ReportedPolicy(
                "Customers manage their favourites",
                True,
                "ALL",
                ["authenticated"],
                "customer_id = auth.uid()",
                "customer_id = auth.uid()",
                Place(SQL, 21),
                {"customer": [ROWS[0]], "other_customer": [ROWS[1]], "staff": [], "owner": []},
                {"customer": [ROWS[0]], "other_customer": [ROWS[1]], "staff": [], "owner": []},
            ),
            ReportedPolicy(
                "Owners see the favourites of their salon",
                True,
                "SELECT",
                ["authenticated"],
                "EXISTS (SELECT FROM app.salons s WHERE s.id = salon_id AND s.owner_id = auth.uid())",
                None,
                Place(SQL, 27),
                {"customer": [], "other_customer": [], "staff": [], "owner": list(ROWS)},
            ),
            ReportedPolicy(
                "Nobody sees what is deleted",
                False,
                "ALL",
                ["public"],
                "deleted_at IS NULL",
                None,
                Place(SQL, 33),
                {each.name: list(ROWS[:2]) for each in PERSONAS[:6]},
            ),
        ],
        privileges={"authenticated": ["SELECT", "INSERT", "UPDATE", "DELETE"], "anon": [], "service_role": ["ALL"]},
        columns=[
            ReportedColumn(name, kind, ["authenticated", "service_role"], ["authenticated"], ["authenticated"])
            for name, kind in (("id", "uuid"), ("customer_id", "uuid"), ("salon_id", "uuid"), ("notes", "text"))
        ],
        triggers=["favorites_stay"],
        decided_by=["customer_id", "deleted_at", "app.salons.owner_id"],
        depends_on=["app.salons"],
        test=f"{FILE}::test_grid",
        test_place=Place(FILE, 9),
    )


def simple(name: str, kind: str, verdicts: dict[str, list[str]], **others: Any) -> ReportedObject:
    """An object with one row; ``verdicts`` has the verdict of each persona, by command."""
    row = "" if kind == "function" else "our salon"
    commands = [ReportedCommand(row, command, f"{command} {name}", each) for command, each in verdicts.items()]
    return ReportedObject(
        name, kind, Place("migrations/phase_1/01_salons.sql", 1), 1, kind == "table", commands, **others
    )


def everything() -> Report:
    """A report that has all its parts."""
    salons = simple(
        "app.salons",
        "table",
        {
            "select": ["yes"] * 7,
            "insert": ["!", "!", "!", "yes", "!", "!", "yes"],
            "update": ["-", "-", "-", "yes", "!", "!", "yes"],
            "delete": ["-", "-", "-", "-", "!", "!", "yes"],
        },
        columns=[ReportedColumn("name", "text", ["authenticated", "anon"], [], ["authenticated"])],
    )
    audit = replace(simple("app.audit", "table", {"select": ["-"] * 4 + ["!"] * 2 + ["yes"]}), row_security=False)
    view = simple(
        "app.salon_favorites",
        "view",
        {"select": ["-", "-", "-", "yes", "!", "!", "yes"]},
        depends_on=["app.favorites", "app.salons"],
        definition="SELECT s.name, count(*) FROM app.salons s JOIN app.favorites f ON f.salon_id = s.id GROUP BY 1",
    )
    function = simple(
        "app.close_salon(uuid, reason text)", "function", {"call": ["!"] * 3 + ["yes"] + ["!"] * 2 + ["yes"]}
    )
    public = simple("storage.objects", "table", {"select": ["yes"] * 6 + ["yes"], "INSERT": ["yes"] * 4 + ["!"] * 3})
    return Report(
        "Enorae",
        "0.1.0",
        "PostgreSQL 17.10 (embedded)",
        "revoked",
        0,
        PERSONAS,
        [favorites(), salons, audit, view, function, public],
        tests=ReportedTests(
            {"passed": 812, "failed": 1, "undecided": 4},
            74.2,
            [
                ReportedFailure(
                    f"{FILE}::test_grid[other customer's favourite-select-owner]",
                    "owner: select of app.favorites\n  expected    -\n  got         yes",
                    Place(SQL, 27),
                    "let in",
                    "app.favorites",
                    ROWS[1],
                    "select",
                    "owner",
                    "-",
                    "yes",
                    Place(FILE, 15),
                )
            ],
        ),
        coverage=[
            CoverageCount("policies", 26, ["app.audit: nobody reads it"]),
            CoverageCount("constraints", 52),
            CoverageCount("functions x personas", 112),
        ],
        phases=[
            ReportedPhase(
                1,
                "favourites",
                [
                    ReportedStep("migrations/phase_1/01_salons.sql", 0.031),
                    ReportedStep(SQL, 0.12, {"app.salons": "SHARE ROW EXCLUSIVE", "app.people": "ROW EXCLUSIVE"}),
                ],
                ["table app.favorites", "policy app.favorites: Customers manage their favourites"],
                ReportedStep("migrations/phase_1/rollback.sql", 0.02),
                [],
                True,
            ),
            ReportedPhase(
                2,
                "views",
                [ReportedStep("migrations/phase_2/01_views.sql", 0.2, {"app.salons": "ACCESS EXCLUSIVE"})],
                ["view app.salon_favorites"],
                ReportedStep("migrations/phase_2/rollback.sql", 0.01),
                ["view app.salon_favorites"],
            ),
            ReportedPhase(3, "", [ReportedStep("migrations/phase_3/01_nothing.sql", 75.0)], []),
        ],
        findings=[
            ReportedFinding(
                "F10",
                "anon cannot read",
                Place("tests/defects/f10_anon.sql", 1),
                [f"{FILE}::test_grid", "tests/x.py::y"],
            ),
            ReportedFinding("F11", "an avatar cannot be updated", Place("tests/defects/f11_avatar.sql", 1), []),
        ],
        mutants=ReportedMutants(
            MutationScore({"killed": 40, "survived": 1, "equivalent": 2}, 611.0), [SURVIVOR], STRYKER
        ),
        drift=DRIFT,
        changes=CHANGES,
    )


SURVIVOR = Survivor(
    "policy-3",
    "app.favorites",
    "using true",
    "policy_using_true",
    "the policy lets every row through",
    "somebody forgot the condition",
    "deleted_at IS NULL",
    "true",
    40,
    {FILE: 3},
    "a row that is deleted, as the customer",
)
STRYKER: dict[str, Any] = {
    "schemaVersion": "2",
    "thresholds": {"high": 100, "low": 80},
    "files": {
        SQL: {
            "language": "sql",
            "source": "CREATE POLICY x ON app.favorites\n  USING (deleted_at IS NULL);\n",
            "mutants": [
                {
                    "id": "policy-3",
                    "mutatorName": "policy_using_true",
                    "replacement": "true",
                    "status": "Survived",
                    "location": {"start": {"line": 2, "column": 10}, "end": {"line": 2, "column": 28}},
                }
            ],
        }
    },
}
DRIFT: dict[str, Any] = {
    "phases": [1, 2, 3],
    "applied": 2,
    "objects": 40,
    "drift": [
        {
            "kind": "policy",
            "property": "using",
            "expected": "deleted_at IS NULL",
            "found": "true",
            "step": "phase_1/02_favorites.sql",
            "object": "app.favorites",
            "part": "Nobody sees what is deleted",
            "rank": "exposes",
        }
    ],
    "missing": [],
    "in_the_way": [
        {
            "kind": "index",
            "property": "",
            "expected": None,
            "found": "btree (name)",
            "step": "phase_3/01_nothing.sql",
            "object": "app.salons",
            "part": "salons_name",
            "rank": "warning",
        }
    ],
    "ours": ["app.salons_slug"],
    "unseen": ["the grants of the platform's schemas"],
    "owner": "postgres",
}
CHANGES: dict[str, Any] = {
    "gained": [
        {
            "phase": 0,
            "persona": "owner",
            "object": "app.favorites",
            "kind": "table",
            "row": ROWS[1],
            "command": "select",
            "sentence": f"owner gained select on {ROWS[1]!r} of app.favorites",
            "witness": {
                "role": "authenticated",
                "claims": {"sub": "0c9e"},
                "statement": 'SELECT * FROM "app"."favorites" WHERE "id" = 2',
            },
        }
    ],
    "lost": [
        {
            "phase": 1,
            "persona": "anon",
            "object": "app.salon_favorites",
            "kind": "view",
            "row": "",
            "command": "select",
            "sentence": "anon lost select on app.salon_favorites",
            "witness": None,
        }
    ],
    "not_compared": ["service: only one side has this persona"],
}

HOSTILE = (
    "</script><script>window.broken = 1</script>",
    "<img src=x onerror='window.broken = 2'>",
    'a "quoted" & <b>bold</b> name',
    "{{report}} {{scripts}}",
    "__proto__",
    "constructor",
    "<!--<script>",
    "\u2028 line \u2029 separators \N{PILE OF POO}",
    "x" * 200,
)


def hostile() -> Report:
    """A report whose names try to leave the text. Every name is a persona, a row, a command, an object and a column."""
    personas = [ReportedPersona(name, name, {name: name}, {name: name}, name) for name in HOSTILE]
    objects = [
        ReportedObject(
            f'"{name}"."{name}"',
            kind,
            Place(name, 1),
            0,
            True,
            [
                ReportedCommand(name, command, name, ["yes", "-"] * 4 + ["!"], {name: name}, [3] * 9, {name: "!"})
                for command in ("select", name)
            ],
            [ReportedPolicy(name, True, "ALL", [name], name, name, Place(name, 2), {name: [name]}, {name: [name]})],
            {name: [name]},
            [ReportedColumn(name, name, [name], [name], [name])],
            [name],
            [name],
            [name, f'"{HOSTILE[0]}"."{HOSTILE[0]}"'],
            f"{name}::test_grid",
            Place(name, 2),
            name,
        )
        for name, kind in zip(HOSTILE, ("table", "view", "function") * 3, strict=True)
    ]
    entry = {"phase": 0, "persona": HOSTILE[0], "object": objects[0].name, "kind": "table", "row": HOSTILE[1]}
    witness = {"role": HOSTILE[0], "claims": {}, "statement": HOSTILE[1]}
    entry |= {"command": HOSTILE[2], "sentence": HOSTILE[1], "witness": witness}
    failures = [
        ReportedFailure(name, name, Place(name, 1), name, objects[0].name, name, name, HOSTILE[0]) for name in HOSTILE
    ]
    return Report(
        HOSTILE[0],
        HOSTILE[1],
        HOSTILE[1],
        HOSTILE[1],
        0,
        personas,
        objects,
        tests=ReportedTests(dict.fromkeys(HOSTILE, 1), 1.0, failures),
        coverage=[CoverageCount(name, 2, [name]) for name in HOSTILE],
        phases=[ReportedPhase(1, HOSTILE[1], [ReportedStep(HOSTILE[1], 1.0, {HOSTILE[1]: HOSTILE[1]})], list(HOSTILE))],
        findings=[ReportedFinding(name, name, Place(name, 1), list(HOSTILE)) for name in HOSTILE],
        drift={
            "drift": [
                dict.fromkeys(("kind", "property", "expected", "found", "step", "object", "part", "rank"), HOSTILE[1])
            ],
            "unseen": list(HOSTILE),
        },
        changes={"gained": [entry], "lost": [], "not_compared": list(HOSTILE)},
    )


def empty() -> Report:
    """A report of a project without personas, objects or anything measured."""
    return Report("nothing", "0.1.0", "PostgreSQL 17.10", "revoked", 0, [], [])


def many_personas(number: int) -> Report:
    """A report with this many personas, who can all do the same."""
    personas = [ReportedPersona(f"persona {each}", "app_user") for each in range(number)]
    return replace(empty(), personas=personas, objects=[simple("app.notes", "table", {"select": ["yes"] * number})])
