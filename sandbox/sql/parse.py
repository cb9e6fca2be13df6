"""From text to a syntax tree within limits: nothing here knows the catalogue, and nothing a text holds can make it slow or raise otherwise
than with a problem.

Limits come first: bytes, characters, then tokens and nesting before the parser sees the text, then nodes and depth before anything walks
the tree recursively.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from sqlglot import Dialect, exp
from sqlglot.errors import ParseError, TokenError
from sqlglot.tokenizer_core import Token, TokenType

from policies.problem import Problem
from sandbox.sql import problems
from sandbox.sql.fragment import fragment, shorten
from sandbox.sql.functions import INSTEAD, OTHERWISE
from sandbox.sql.grammar import stray
from sandbox.sql.lists import spread_lists

BYTES = 16_384
TOKENS = 6_000
NODES = 2_000
DEPTH = 60
NESTING = 30
_OPENING = frozenset({TokenType.SELECT, TokenType.FROM, TokenType.WITH, TokenType.L_PAREN})
_DUCKDB = Dialect.get_or_raise("duckdb")


def parse(text: str) -> exp.Select | exp.Union:
    """One SELECT, or several with UNION ALL, inside the grammar. Raises `sql_*` problems, which quote the operator's text."""
    _characters(text)
    tokens = _tokens(text)
    tree = _tree(text, tokens)
    if isinstance(tree, (exp.Subquery, exp.Except, exp.Intersect)) or (isinstance(tree, exp.Union) and tree.args.get("distinct")):
        kind = problems.SET_OPERATION if isinstance(tree, exp.SetOperation) else problems.SUBQUERY
        raise kind(fragment=shorten(text))
    if not isinstance(tree, (exp.Select, exp.Union)):
        raise problems.NOT_SELECT(fragment=shorten(text))
    _size(tree)
    spread_lists(tree)
    _size(tree)
    for comparison in list(tree.find_all(exp.EQ, exp.NEQ)):
        _as_membership(comparison)
    for node in tree.walk():
        name = stray(node)
        if name is not None:
            raise _refusal(node, name, text)
    return tree


def _as_membership(node: exp.Expr) -> None:
    """x = ANY (SELECT …) is x IN (SELECT …); x <> ALL (SELECT …) is x NOT IN (SELECT …)."""
    some = node.args["expression"]
    if not isinstance(some, exp.Any if isinstance(node, exp.EQ) else exp.All):
        return
    query = some.this if isinstance(some.this, exp.Subquery) else exp.Subquery(this=some.this)
    if isinstance(query.this, exp.Query):
        member: exp.Expr = exp.In(this=node.this, query=query)
        node.replace(member if isinstance(node, exp.EQ) else exp.Not(this=member))


def table_names(tree: exp.Expr) -> tuple[str, ...]:
    """The datasets a query names, in order, each once, as written; names of its CTEs aside, where they are in sight."""
    names: dict[str, str] = {}
    _datasets(tree, frozenset(), names)
    return tuple(names.values())


def _datasets(node: exp.Expr, ctes: frozenset[str], names: dict[str, str]) -> None:
    if isinstance(node, exp.Table) and node.name.casefold() not in ctes:
        names[node.name.casefold()] = node.name
    clause = node.args.get("with_")
    for item in clause.expressions if clause is not None else ():
        _datasets(item.this, ctes, names)
        ctes |= {item.alias.casefold()}
    for child in node.iter_expressions():
        if child is not clause:
            _datasets(child, ctes, names)


def canonical(tree: exp.Expr) -> str:
    """The query in one spelling, without comments: for people and records, never run."""
    return tree.sql(dialect="duckdb", comments=False)


def _characters(text: str) -> None:
    if not text.strip().strip(";").strip():
        raise problems.EMPTY()
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > BYTES:
        raise problems.TOO_LONG(size=size, limit=BYTES)
    for place, character in enumerate(text, 1):
        if character not in "\t\n\r" and unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn", "Cf"):
            raise problems.BAD_CHARACTER(position=place, character=f"U+{ord(character):04X}")


def _tokens(text: str) -> list[Token]:
    try:
        tokens = _DUCKDB.tokenize(text)
    except TokenError:
        raise problems.SYNTAX(line=1, column=1, fragment=shorten(text)) from None
    while tokens and tokens[-1].token_type == TokenType.SEMICOLON:
        tokens.pop()
    if not tokens:
        raise problems.EMPTY()
    if any(token.token_type == TokenType.SEMICOLON for token in tokens):
        raise problems.ONE_STATEMENT()
    if tokens[0].token_type not in _OPENING:
        raise problems.NOT_SELECT(fragment=shorten(tokens[0].text))
    if len(tokens) > TOKENS:
        raise problems.TOO_LARGE(limit=TOKENS)
    depth = 0
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        depth += {TokenType.L_PAREN: 1, TokenType.CASE: 1, TokenType.R_PAREN: -1, TokenType.END: -1}.get(token.token_type, 0)
        if depth > NESTING:
            raise problems.TOO_DEEP(limit=NESTING)
        if token.token_type == TokenType.NUMBER and following is not None and following.start == token.end + 1 and following.text[:1].isalnum():
            # 0x1F would be read as the number 0 called x1F
            raise problems.SYNTAX(line=token.line, column=token.col, fragment=shorten(text[token.start : following.end + 1]))
    return tokens


def _tree(text: str, tokens: list[Token]) -> exp.Expr:
    try:
        trees = [tree for tree in _DUCKDB.parser().parse(tokens, text) if tree is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        near = f"{first.get('start_context', '')[-20:]}{first.get('highlight', '')}{first.get('end_context', '')[:20]}"
        raise problems.SYNTAX(line=first.get("line", 1), column=first.get("col", 1), fragment=shorten(near or text)) from None
    except RecursionError:
        raise problems.TOO_DEEP(limit=DEPTH) from None
    if len(trees) != 1:
        raise problems.ONE_STATEMENT()
    return trees[0]


def _size(tree: exp.Expr) -> None:
    """Chains of AND and of OR count as one level: they are walked flat."""
    count = 0
    level: list[exp.Expr] = [tree]
    depth = 0
    while level:
        depth += 1
        if depth > DEPTH:
            raise problems.TOO_DEEP(limit=DEPTH)
        below: list[exp.Expr] = []
        for node in level:
            for child in _children(node):
                count += 1
                below.append(child)
        if count > NODES:
            raise problems.TOO_LARGE(limit=NODES)
        level = below


def _children(node: exp.Expr) -> Iterator[exp.Expr]:
    return iter(chain(node)) if isinstance(node, (exp.And, exp.Or)) else node.iter_expressions()


def chain(node: exp.Expr) -> list[exp.Expr]:
    """The terms of a chain of one connective, left to right, without recursion."""
    kind, terms, waiting = type(node), [], [node]
    while waiting:
        item = waiting.pop()
        if type(item) is kind:
            waiting += [item.args["expression"], item.args["this"]]
        else:
            terms.append(item)
    return terms


def _refusal(node: exp.Expr, name: str, text: str) -> Problem:
    if isinstance(node, (exp.IgnoreNulls, exp.RespectNulls)) and isinstance(node.this, exp.Func):
        node, name = node.this, type(node.this).__name__  # sqlglot wraps any_value and its like
    piece = fragment(node, text)
    kind = problems.UNSUPPORTED.get(name) or problems.UNSUPPORTED.get(name.partition(".")[0])
    if kind is not None:
        return kind(fragment=piece)
    instead = problems.OTHERWISE.get(name) or problems.OTHERWISE.get(name.partition(".")[0])
    if instead is not None:
        return problems.REPHRASE(fragment=piece, instead_zh=instead[0], instead_en=instead[1])
    if isinstance(node, exp.Func) and "." not in name:
        return unknown_function(node, node.sql_name(), piece)
    return problems.NOT_SUPPORTED(fragment=piece, element=name)


def unknown_function(node: exp.Expr, function: str, piece: str) -> Problem:
    named = piece.partition("(")[0].strip()
    shown = named if named.replace("_", "").isalnum() else function
    zh, en = INSTEAD.get(shown.casefold(), INSTEAD.get(function.casefold(), OTHERWISE))
    return problems.FUNCTION_UNKNOWN(fragment=piece, function=shown.casefold(), instead_zh=zh, instead_en=en)
