"""From a query to a plan: ownership, bounds, price, emitted SQL. `compile_job` and `tables_in` are the doors."""

from sandbox.plan.compile import compile_job, tables_in

__all__ = ["compile_job", "tables_in"]
