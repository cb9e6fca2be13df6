"""The console: pages for people, rendered on the server over the HTTP interface and nothing else.

A page asks the interface in this process, with the visitor's own session, and shows what it answers: what a visitor may not ask for, no page
can show. No script anywhere; the one style sheet and every picture come from here.
"""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from api.console import frame, sign_in, static
from api.console.pages import (
    alerts,
    asking,
    budgets,
    datasets,
    destructions,
    fees,
    freezes,
    jobs,
    licences,
    mailbox,
    orders,
    overview,
    people,
    policy,
    products,
    programs,
    register,
    releases,
    reports,
    reviews,
    rules,
    subscriptions,
    traces,
)

PAGES = (
    overview,
    alerts,
    asking,
    orders,
    jobs,
    releases,
    reviews,
    products,
    programs,
    licences,
    budgets,
    datasets,
    destructions,
    fees,
    reports,
    register,
    freezes,
    policy,
    people,
    rules,
    subscriptions,
    mailbox,
    traces,
)


def routers() -> list[APIRouter]:
    """Where the pages are, for an application to serve."""
    return [static.router, sign_in.router, *(page.router for page in PAGES)]


def handle(app: FastAPI) -> None:
    """How pages fail."""
    frame.handle(app)
