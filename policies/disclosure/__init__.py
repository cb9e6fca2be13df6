"""What an exact table would disclose, and what to do about it: rule packs as data, checks that run them, suppression proved by its audit,
and a memory of everything released before.

Pure: tables come in, findings and tables go out; nothing here reads a row, a file of the home or a clock.

table          ExactTable, Cell, Amount; Finding, Evidence; ReleasedTable: what the rest of the project speaks
pack           RulePack, from TOML; `shipped_pack(name)`
mend           Round, Midpoint, Suppress, Merge, Drop, Recount, as JSON data
examine        examine(table, pack, earlier, mends=()) -> Evidence
apply          apply(table, mends, pack) -> ReleasedTable
preflight      preflight(table, pack, earlier) -> Preflight: what would be refused, why, and a set of mends that passes
predicate, index, differencing   canonical populations, the release index, and attacks by subtraction over all of it
"""
