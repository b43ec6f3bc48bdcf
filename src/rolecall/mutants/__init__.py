"""Mutation testing: the schema is broken in every way that rolecall knows, one change at a time."""

from rolecall.mutants.operators import (
    buckets,
    constraints,
    functions,
    grants,
    indexes,
    policies,
    scripts,
    triggers,
    views,
)
from rolecall.mutants.operators.operator import Mutant, Operator

__all__ = ["OPERATORS", "Mutant", "Operator"]

OPERATORS: tuple[Operator, ...] = (
    policies.DropPolicy(),
    policies.AddPermissivePolicy(),
    policies.ConstantPredicate(),
    policies.NegatePredicate(),
    policies.AdmitNull(),
    policies.EditPredicate(),
    policies.AnotherClaim(),
    policies.DropCheck(),
    policies.AnotherCommand(),
    policies.AnotherRole(),
    policies.SwapPermissive(),
    policies.DisableSecurity(),
    grants.AddGrant(),
    grants.DropGrant(),
    grants.WidenGrant(),
    grants.GrantOption(),
    grants.DropUsage(),
    constraints.DropConstraint(),
    constraints.EditCheck(),
    constraints.NotNull(),
    constraints.ForeignKeyAction(),
    indexes.DropIndex(),
    indexes.EditIndex(),
    constraints.EditDefault(),
    constraints.WidenType(),
    functions.Attributes(),
    functions.EditBody(),
    views.InvokerOff(),
    views.EditView(),
    views.SwapColumns(),
    triggers.DisableTrigger(),
    triggers.EditTrigger(),
    buckets.EditBucket(),
    scripts.DropStatement(),
)
