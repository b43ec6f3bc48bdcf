"""The cost of the policies on large tables: as shipped, as in the plan, and compared with a filter by hand."""

from __future__ import annotations

import os

from benchmarks.policies.measure import TIMEOUT, Form, compare, measure
from benchmarks.policies.queries import Query, common
from benchmarks.policies.scale import HERE, large_database
from benchmarks.results import RAW, Result
from rolecall import Session, World
from rolecall.sql import files

ROWS = "BENCHMARK_ROWS"  # environment variable: rows in each table, for a short run
PLANS = RAW / "policies-plans.txt"
AT_MOST = 1.5  # times the hand-written filter


def run() -> Result:
    """Run every common query in all three ways."""
    rows = int(os.environ.get(ROWS, "1000000"))
    result = Result("policies", f"Common queries on {rows:,} rows in each table", "ms", facts={"rows": rows})
    queries = common()
    with large_database(rows) as (session, world, server):
        result.facts["server"] = server
        plans = as_shipped(session, world, queries, result)
        plans += as_planned(session, world, [query for query in queries if query.plan], result)
    RAW.mkdir(exist_ok=True)
    PLANS.write_text("\n".join(plans), encoding="utf-8")
    return result


def as_shipped(session: Session, world: World, queries: list[Query], result: Result) -> list[str]:
    """Measure each query signed in, and by hand as the superuser; returns the plans of PostgreSQL."""
    plans = []
    for query in queries:
        signed_in, by_hand = compare(session, query, world)
        shipped, filtered = note(result, query, "shipped", signed_in), note(result, query, "by hand", by_hand)
        result.ratio(shipped, filtered, at_most=AT_MOST, name=f"{query}: shipped / by hand")
        plans.append(f"== {query}\n-- shipped\n{signed_in.plan}\n-- by hand\n{by_hand.plan}\n")
    return plans


def as_planned(session: Session, world: World, queries: list[Query], result: Result) -> list[str]:
    """Measure each query signed in, with the policies of the plan; returns the plans of PostgreSQL."""
    plans, timeouts = [], []
    with session.connection.transaction(force_rollback=True):
        files.run(session.connection, HERE / "plan.sql")
        for query in queries:
            form = measure(session, query, world)
            planned = note(result, query, "the plan's", form)
            result.ratio(planned, f"{query}: shipped", name=f"{query}: the plan's / shipped")
            if not form.plan:
                timeouts.append(str(query))
            plans.append(f"== {query}\n-- the plan's\n{form.plan or f'(longer than {TIMEOUT:g} s)'}\n")
    result.facts[f"the plan's: longer than {TIMEOUT:g} s"] = timeouts
    return plans


def note(result: Result, query: Query, variant: str, form: Form) -> str:
    """Add the samples to the result, in milliseconds; returns their name."""
    name = f"{query}: {variant}"
    result.samples[name] = [1000 * sample for sample in form.samples]
    return name
