"""The human lane: exact tables held under seal, examined by rules, let out by two people or not at all.

hold      the walk's last hops for an exact job: counted, sealed, held
sealed    a table under the home's keys, and back
examine   the rules of the pack, mends, and what was released before
index     every released cell of either lane
publish   what people decided, carried out
keeper    the thread that carries out, looks for standing approvals and for what is overdue
"""
