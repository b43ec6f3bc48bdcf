"""What the policies cost on large tables: as shipped, as the plan has them, and against a filter written by hand."""

from __future__ import annotations

import os

from benchmarks.policies.measure import TIMEOUT, Form, alone, compare
from benchmarks.policies.queries import Query, everyday
from benchmarks.policies.scale import HERE, grown
from benchmarks.results import RAW, Result
from rolecall import Session, World
from rolecall.sql import files

ROWS = "BENCHMARK_ROWS"  # environment variable: rows a table, for trying out
PLANS = RAW / "policies-plans.txt"
AT_MOST = 1.5  # times the hand-written filter


def run() -> Result:
    """Ask everything that is asked every day, in all three ways."""
    rows = int(os.environ.get(ROWS, "1000000"))
    result = Result("policies", f"Everyday queries on {rows:,} rows a table", "ms", facts={"rows": rows})
    queries = everyday()
    with grown(rows) as (session, world, server):
        result.facts["server"] = server
        plans = as_shipped(session, world, queries, result)
        plans += as_planned(session, world, [query for query in queries if query.plan], result)
    RAW.mkdir(exist_ok=True)
    PLANS.write_text("\n".join(plans), encoding="utf-8")
    return result


def as_shipped(session: Session, world: World, queries: list[Query], result: Result) -> list[str]:
    """Signed in, and by hand with nobody signed in; gives the server's plans."""
    plans = []
    for query in queries:
        signed_in, by_hand = compare(session, query, world)
        shipped, filtered = note(result, query, "shipped", signed_in), note(result, query, "by hand", by_hand)
        result.ratio(shipped, filtered, at_most=AT_MOST, name=f"{query}: shipped / by hand")
        plans.append(f"== {query}\n-- shipped\n{signed_in.plan}\n-- by hand\n{by_hand.plan}\n")
    return plans


def as_planned(session: Session, world: World, queries: list[Query], result: Result) -> list[str]:
    """Signed in, with the plan's policies in place of those that ship; gives the server's plans."""
    plans, hopeless = [], []
    with session.connection.transaction(force_rollback=True):
        files.run(session.connection, HERE / "plan.sql")
        for query in queries:
            form = alone(session, query, world)
            planned = note(result, query, "the plan's", form)
            result.ratio(planned, f"{query}: shipped", name=f"{query}: the plan's / shipped")
            if not form.plan:
                hopeless.append(str(query))
            plans.append(f"== {query}\n-- the plan's\n{form.plan or f'(longer than {TIMEOUT:g} s)'}\n")
    result.facts[f"the plan's: longer than {TIMEOUT:g} s"] = hopeless
    return plans


def note(result: Result, query: Query, variant: str, form: Form) -> str:
    """Keep the samples, in milliseconds; gives the name that they are kept under."""
    name = f"{query}: {variant}"
    result.samples[name] = [1000 * sample for sample in form.samples]
    return name
