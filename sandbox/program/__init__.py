"""Operators' programs: what a package must be to be registered. Packages are read and parsed here, never run."""
