"""Which mutants nobody can reach: changed access to a table that no role may use."""

from __future__ import annotations

from rolecall.catalog.definitions import Schema
from rolecall.mutants.operators.operator import Mutant, Operator


def out_of_reach(operator: Operator, mutant: Mutant, schema: Schema) -> str:
    """Why no client can notice a mutant; empty if one may.

    Policies decide nothing for a role that cannot enter the schema, or that holds no privilege on the table. A function
    that runs with the rights of the owner is bound by them only if row-level security is forced.
    """
    is_about_policies = operator.name == "rls-off" or operator.name.startswith("policy-")
    if mutant.out_of_reach or not is_about_policies or mutant.concerns not in schema.tables:
        return mutant.out_of_reach
    if mutant.concerns in schema.forced | schema.reached:
        return ""
    namespace = mutant.concerns.split(".", 1)[0]
    entering = {role for name, role in schema.usages if name == namespace}
    if not entering:
        return f"no role may enter the schema {namespace}"
    return f"no role that may enter the schema {namespace} holds a privilege on {mutant.concerns}"
