"""From a query to a plan: ownership, bounds, price, emitted SQL. `compile_job`, `tables_in` and `explain` are the doors."""

from sandbox.plan.compile import compile_job, tables_in
from sandbox.plan.explain import explain as explain_plan

__all__ = ["compile_job", "explain_plan", "tables_in"]
