"""Attacks, as operators' programs would carry them out: shipped into a cell as one package, a module for each kind of prey.

A probe is a function of `world` (what the attacker is given to aim at: ports, paths, names) that returns what it got hold of as a text, or
nothing. To be refused is to raise. Modules import Python's own library and the locked set only.
"""
