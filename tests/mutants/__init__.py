"""Safeguards of the engine, each taken out in a scratch copy and missed by a test: `make mutants`."""
