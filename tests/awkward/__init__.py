"""Schemas that are hard to probe, each with the verdicts of its grid."""

from tests.awkward.policies import POLICIES
from tests.awkward.shape import Shape
from tests.awkward.tables import TABLES
from tests.awkward.triggers import TRIGGERS

__all__ = ["POLICIES", "TABLES", "TRIGGERS", "Shape"]
