"""From a query to a plan: ownership, bounds, price, emitted SQL. `compile_job`, `tables_in` and `explain` are the doors."""

from sandbox.plan.compile import compile_job, tables_in

__all__ = ["compile_job", "tables_in"]
