"""One price over several frontiers: rho split over all their totals so that the summed squared relative error to expect is least.

Total i of a frontier, of supposed size e, gets noise of variance proportional to (sensitivity / e)² · groups / rho_i relative to itself; the
sum over all totals of all frontiers under a given sum of rho_i is least where rho_i is proportional to sensitivity · √groups / e. Pure DP
splits epsilon, with (sensitivity · groups / e) ** (2/3). Half of the job's delta is shared evenly by the frontiers with private keys.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from policies.loss import Loss, split
from sandbox.plan import problems as refusals
from sandbox.plan.accuracy import FINEST, best_weights, relative_moves, rho_for
from sandbox.plan.answer import mentions
from sandbox.plan.ask import Ask
from sandbox.plan.branch import Branch
from sandbox.plan.model import Draw
from sandbox.plan.price import Pure, asked_loss, price


def draw_all(branches: Sequence[Branch], ask: Ask) -> None:
    """Give every frontier its draws. Raises `plan_*` problems of prices and weights."""
    privacy = ask.privacy
    weights = _weights(branches, ask.weights, pure=privacy.pure)
    hidden = [branch for branch in branches if not branch.public]
    every = [weight for of_one in weights for weight in of_one]
    widest = max((branch.groups for branch in hidden), default=0) or max(branch.groups for branch in branches)
    least = [0] * len(branches)

    def for_accuracy() -> int:
        for place, (branch, own) in enumerate(zip(branches, weights, strict=True)):
            forms = [(item.label, item.form) for item in branch.select if item.form is not None]
            for item in branch.select:
                if mentions(item.expr, *branch.foreign):
                    raise refusals.ACCURACY_UNKNOWN(asked=privacy.asked, label=item.label)
            given = (*privacy.wanted, forms, branch.totals.totals, own, branch.groups, branch.supposed, privacy.asked)
            least[place] = rho_for(*given, pure=privacy.pure)
        return sum(least)

    whole = asked_loss(privacy, private_keys=bool(hidden), groups=widest, weights=every, for_accuracy=for_accuracy)
    if isinstance(whole, Pure):
        shares = least if any(least) else list(split(whole.pico_epsilon, tuple(map(sum, weights))))
    else:
        shares = least if any(least) else list(split(whole.pico_rho, tuple(map(sum, weights))))
    for branch, own, share in zip(branches, weights, shares, strict=True):
        if share <= 0:
            raise refusals.PRICE_TOO_SMALL(asked=privacy.asked, parts=len(every))
        branch.draws = _draws(branch, own, whole, share, len(hidden), privacy.asked)


def _draws(branch: Branch, weights: Sequence[int], whole: Loss | Pure, share: int, hidden: int, asked: str) -> tuple[Draw, ...]:
    part = Pure(share) if isinstance(whole, Pure) else Loss(share, 0 if branch.public else whole.atto_delta // hidden)
    return price(part, asked, branch.totals.totals, weights, branch.groups, branch.pieces)


def _weights(branches: Sequence[Branch], asked: Mapping[str, int], *, pure: bool) -> list[tuple[int, ...]]:
    """Whole-numbered weights of every total of every frontier, comparable among them."""
    if asked:
        return _given(branches, asked)
    if len(branches) == 1:
        return [best_weights(branches[0].totals.totals, branches[0].supposed, pure=pure)]
    shares = [[_share(branch, relative_moves(total, branch.supposed), pure=pure) for total in branch.totals.totals] for branch in branches]
    most = max(share for of_one in shares for share in of_one)
    return [tuple(max(1, round(FINEST * share / most)) for share in of_one) for of_one in shares]


def _share(branch: Branch, relative: object, *, pure: bool) -> float:
    one = float(relative)  # type: ignore[arg-type]  # a Fraction
    return float((one * branch.groups) ** (2 / 3)) if pure else one * math.sqrt(branch.groups)


def _given(branches: Sequence[Branch], asked: Mapping[str, int]) -> list[tuple[int, ...]]:
    """A total's weight is the largest among the outputs it is for; 1 where none is named."""
    given = {label.casefold(): weight for label, weight in asked.items()}
    labels = {item.label.casefold() for branch in branches for item in branch.select if item.form is not None}
    for label in asked:
        if label.casefold() not in labels:
            raise refusals.WEIGHT_UNKNOWN(name=label)
    return [
        tuple(
            sum(
                max((given.get(item.label.casefold(), 1) for item in branch.select if mentions(item.expr, name)), default=1)
                for name in total.shares
            )
            for total in branch.totals.totals
        )
        for branch in branches
    ]
