"""监测预警: what supervisors would want to look at, found in the register by rules that are data.

rules      what is looked for, with its numbers; `default.toml` is what the program comes with
inforce    which rules are in force, and their history
facts      what rules see: questions, setbacks, refusals, deliveries, and how things stand
sketch     a question as rules see it: whom it is about, what it measures, how many rows that may be
notes      entries of the log, read once, kept as facts for as long as a rule looks back
questions, conduct, standing   the rules themselves: pure functions from facts to findings
gather     the facts of how things stand, from the projections
auditing   the server's own periodical audit
raising    findings become alerts, once; alerts whose cause is over are closed
watcher    the thread that does it, from entry to entry
alerts     what was raised, for whoever looks
"""
