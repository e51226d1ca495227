"""How messages are summed: a plan read once from a graph, two engines, one function in front."""

from __future__ import annotations

from asgcn_dgl.ops.conv import Actional, Structural, relational_conv, use_engine
from asgcn_dgl.ops.plan import (
    ActionalPlan,
    StructuralPlan,
    actional_plan,
    check_structures,
    structural_plan,
)

__all__ = [
    "Actional",
    "ActionalPlan",
    "Structural",
    "StructuralPlan",
    "actional_plan",
    "check_structures",
    "relational_conv",
    "structural_plan",
    "use_engine",
]
