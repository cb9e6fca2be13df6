"""A licence as people and other machines read it: clauses in both languages, ODRL, TOML. Functions of the licence and the catalogue alone."""

from __future__ import annotations

from policies.agreement.clauses import Article as Article
from policies.agreement.clauses import Standing as Standing
from policies.agreement.clauses import articles as articles
from policies.agreement.odrl import licence_odrl as licence_odrl
from policies.agreement.toml import as_toml as as_toml
