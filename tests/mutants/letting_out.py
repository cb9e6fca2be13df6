"""What is looked at before it goes out, and what goes with it."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

DISCLOSURE, SUBTRACTED = "tests/properties/test_disclosure.py", "tests/attack/test_differencing.py"
POPULATIONS = "tests/unit/policies/disclosure/test_predicate.py"
SYNTHETIC, MARKS = "tests/properties/test_synthetic.py", "tests/statistics/test_watermark.py"

LET_OUT = (
    # ---- disclosure control ----
    Mutant(
        "an attacker is held to possible tables by our own sums",
        "policies/disclosure/relations.py",
        "        return not (np.any(sides < self._lower) or np.any(sides > self._upper))",
        "        return True",
        "tests/unit/policies/disclosure/test_linked.py::test_a_table_that_breaks_a_relation_is_no_possible_one",
    ),
    Mutant(
        "a count is attained by a table of whole numbers",
        "policies/disclosure/attack.py",
        "            if self.of.whole:\n                return\n",
        "            if False:\n                return\n",
        f"{DISCLOSURE}::test_counts_are_attained_by_whole_tables",
    ),
    Mutant(
        "what a pattern does not protect is a breach",
        "policies/disclosure/attack.py",
        "                if reached < need - slack:",
        "                if False:",
        f"{DISCLOSURE}::test_three_way_verdicts_are_those_of_somebody_who_tries_everything",
    ),
    Mutant(
        "who is alone in a cell knows it",
        "policies/disclosure/attack.py",
        "                    others = {unknown: need for unknown, need in wanted.items() if unknown in mine and unknown not in known}",
        "                    others = {}",
        f"{DISCLOSURE}::test_somebody_alone_in_a_cell_does_not_find_the_other",
        quick=True,
    ),
    Mutant(
        "complements are sought for both sides of a need",
        "policies/disclosure/moves.py",
        "for sign, amount in ((1, need.above), (-1, need.below))",
        "for sign, amount in ((-1, need.below),)",
        "tests/unit/policies/disclosure/test_linked.py::test_a_need_has_two_sides",
    ),
    Mutant(
        "what is dropped stays in the attacker's relations",
        "policies/disclosure/apply.py",
        "    return replace(made, audit=_audited(made, found)) if absent else made",
        "    return made",
        f"{DISCLOSURE}::test_what_is_dropped_is_still_protected",
    ),
    Mutant(
        "what was shown before hides nothing",
        "policies/disclosure/apply.py",
        "    known = frozenset() if earlier is None else earlier.shown(table)",
        "    known: frozenset[int] = frozenset()",
        f"{SUBTRACTED}::test_what_was_shown_before_hides_nothing",
    ),
    Mutant(
        "a population that holds the new one is compared as well",
        "policies/disclosure/index.py",
        "        for holds in (False, True):\n            rows = close",
        "        for holds in (False,):\n            rows = close",
        f"{SUBTRACTED}::test_rounding_that_is_too_fine_does_not",
    ),
    Mutant(
        "several tables are combined",
        "policies/disclosure/differencing.py",
        "    findings += several\n",
        "",
        f"{SUBTRACTED}::test_several_overlapping_filters",
    ),
    Mutant(
        "units in several cells are counted by the raw side",
        "policies/disclosure/differencing.py",
        "if not changed and not (entry.disjoint and other.disjoint):",
        "if False:",
        f"{SUBTRACTED}::test_only_rows_can_tell",
    ),
    Mutant(
        "NULL is in no negation of a comparison",
        "policies/disclosure/predicate.py",
        "        return Values((*spans, rest) if not rest.empty else tuple(spans))",
        "        return Values((*spans, rest) if not rest.empty else tuple(spans), not self.null)",
        f"{POPULATIONS}::test_what_is_said_of_two_populations_holds_in_every_row",
    ),
    Mutant(
        "authors are told nothing that a number chose",
        "policies/disclosure/preflight.py",
        'if finding.severity == "refuse" and _kind(self.pack, finding) in DATA_FREE]',
        'if finding.severity == "refuse"]',
        "tests/unit/policies/disclosure/test_linked.py::test_what_authors_are_told_does_not_depend_on_the_data",
    ),
    # ---- synthetic tables ----
    Mutant(
        "a unit keeps no more rows than it may",
        "sandbox/raw/marginals.py",
        "kept.append(rows[ranked[place < most]])",
        "kept.append(rows)",
        f"{SYNTHETIC}::test_one_unit_moves_each_marginal_by_at_most_its_rows",
    ),
    Mutant(
        "rows of one hash are told apart by their levels",
        "sandbox/raw/marginals.py",
        "ranked = np.lexsort((*ties, keyed, own))",
        "ranked = np.lexsort((own,))",
        "tests/unit/sandbox/raw/test_marginals.py::test_units_keep_at_most_their_rows_and_the_same_ones_in_any_order",
    ),
    Mutant(
        "a score moves by its weight, in grains",
        "sandbox/noise/marginals.py",
        "return max(weights) * plan.rows_per_unit * GRAIN",
        "return max(weights) * plan.rows_per_unit",
        f"{SYNTHETIC}::test_one_unit_moves_each_score_by_at_most_the_sensitivity",
    ),
    Mutant(
        "a look beyond the price is refused",
        "sandbox/noise/marginals.py",
        "if not 0 < pico_rho <= self._left:",
        "if False:",
        "tests/unit/sandbox/noise/test_marginals.py::test_nothing_is_seen_beyond_the_price",
    ),
    # ---- marks ----
    Mutant(
        "a recipient is accused for all that were asked about",
        "jobs/watermark/trace.py",
        "most = math.log10(limit) - math.log10(max(1, len(asked)))",
        "most = math.log10(limit)",
        f"{MARKS}::test_asking_about_more_people_takes_more_to_accuse_one",
    ),
    Mutant(
        "the bound on an innocent's score is its own",
        "jobs/watermark/code.py",
        "return min(0.0, best / math.log(10))",
        "return min(0.0, 1.5 * best / math.log(10))",
        f"{MARKS}::test_the_bound_is_one_and_not_far_off",
    ),
    Mutant(
        "one bias is not enough against three",
        "jobs/watermark/code.py",
        "BIAS = 0.2113248654051871",
        "BIAS = 0.5",
        f"{MARKS}::test_three_who_always_take_the_rarer_value_are_not_safe",
    ),
    Mutant(
        "whole numbers move only where noise hides it",
        "jobs/watermark/cells.py",
        "size = np.where(half >= LEAST_FOR_WHOLE, np.maximum(1.0, np.rint(STRENGTH * half)), 0.0)",
        "size = np.maximum(1.0, np.rint(STRENGTH * half))",
        "tests/unit/jobs/watermark/test_cells.py::test_by_a_tenth_and_whole_numbers_by_whole_numbers",
    ),
    # ---- what builders are handed ----
    Mutant(
        "nobody is handed what it is not entitled to any more",
        "jobs/products/deliveries.py",
        "if held is None or not held.holds_at(at):",
        "if held is None:",
        "tests/unit/jobs/test_products.py::test_entitlement_is_per_builder_and_ends",
    ),
    Mutant(
        "what was recalled is handed to nobody",
        "jobs/products/deliveries.py",
        'if wanted is None or wanted.state != "current" or found.state not in SERVED:',
        "if wanted is None:",
        "tests/unit/jobs/test_products.py::test_recall_stops_a_version_and_then_the_product",
    ),
    Mutant(
        "webhooks are not turned inwards by a name",
        "infra/webhooks.py",
        "if not plain.is_global or plain.is_multicast or plain.is_reserved:",
        "if False:",
        "tests/unit/infra/test_webhooks.py::test_names_that_lead_inwards_are_refused_when_used",
    ),
    Mutant(
        "a schedule runs once on the same data",
        "jobs/products/renewal.py",
        "if digest in {run.snapshots for run in schedule.runs} or self._held(schedule, digest):",
        "if self._held(schedule, digest):",
        "tests/unit/jobs/test_schedules.py::test_one_release_for_each_state_until_the_plan_is_used_up",
    ),
    # ---- the human lane ----
    Mutant(
        "who reviews is on duty",
        "jobs/projections/reviews.py",
        '_misfit("duties", who, writer.row(_ON_DUTY,',
        '_misfit("duties", who, True or writer.row(_ON_DUTY,',
        "tests/unit/jobs/lane/test_log.py::test_a_forged_one_fits_neither",
    ),
    Mutant(
        "a vote is opened as it was cast",
        "jobs/projections/reviews.py",
        "cast == told and",
        "set(cast) == set(told) and",
        "tests/unit/jobs/lane/test_log.py::test_a_forged_one_fits_neither",
    ),
    Mutant(
        "nothing exact leaves unapproved",
        "jobs/projections/releases.py",
        'if kind == "exact" and',
        'if kind == "never" and',
        "tests/unit/jobs/lane/test_log.py::test_a_forged_one_fits_neither",
    ),
)
