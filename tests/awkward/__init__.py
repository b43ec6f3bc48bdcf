"""Schemas that are hard to probe, each with the verdicts of its grid."""

from awkward.policies import POLICIES
from awkward.shape import Shape
from awkward.tables import TABLES
from awkward.triggers import TRIGGERS

__all__ = ["POLICIES", "TABLES", "TRIGGERS", "Shape"]
