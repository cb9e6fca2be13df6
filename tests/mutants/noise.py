"""How far a total can move, the noise that it gets for that, and what is done with noisy totals."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CHAIN, CHOOSE = "tests/unit/sandbox/noise/test_chain.py", "tests/unit/sandbox/noise/test_choose.py"
DRAW = "tests/unit/sandbox/noise/test_draw.py"
PLAN, PURE, TREE = (f"tests/unit/sandbox/plan/test_{name}.py" for name in ("plan", "pure", "tree"))
NOISE = "tests/statistics/test_noise.py"
MODEL_STEPS = "tests/properties/test_models.py"
MODEL_ROWS, MODEL_NOISE = (f"tests/unit/sandbox/{room}/test_fit.py" for room in ("raw", "noise"))
ADDED, SUMMED = "tests/unit/sandbox/plan/test_additive.py", "tests/unit/sandbox/finish/test_summed.py"
RUNNING, PERIODS = (f"tests/unit/policies/test_{name}.py" for name in ("running", "blocks"))

NOISED = (
    # ---- sensitivity and noise ----
    Mutant(
        "a unit touches several keys",
        "sandbox/noise/chain.py",
        "return lambda d_in: root_above((units(d_in) * cap) ** 2 * groups_per_unit)",
        "return lambda d_in: root_above((units(d_in) * cap) ** 2)",
        f"{CHAIN}::test_stability_maps_cover_the_farthest_neighbour_and_no_more",
        quick=True,
    ),
    Mutant(
        "in L1 as often as it touches",
        "sandbox/noise/chain.py",
        "return lambda d_in: float_above(units(d_in) * cap * groups_per_unit)",
        "return lambda d_in: float_above(units(d_in) * cap)",
        f"{PURE}::test_epsilons_add_up_over_totals_and_rho_does_too",
    ),
    Mutant(
        "a row is at a node of every level of a tree",
        "sandbox/noise/chain.py",
        "vector_map(part.groups_per_unit * tree.levels, total.cap)",
        "vector_map(part.groups_per_unit, total.cap)",
        f"{TREE}::test_the_map_covers_the_farthest_neighbour",
    ),
    Mutant(
        "choices in several keys add up",
        "sandbox/noise/choose.py",
        "return lambda d_in: product_above(groups, one.map(units(d_in) * sensitivity))",
        "return lambda d_in: one.map(units(d_in) * sensitivity)",
        f"{CHOOSE}::test_opendp_agrees_with_the_price",
    ),
    Mutant(
        "a score moves by the larger of the two shares",
        "sandbox/plan/model.py",
        "return self.cap * max(part, whole - part)",
        "return self.cap * min(part, whole - part)",
        f"{CHOOSE}::test_a_unit_moves_every_score_by_at_most_the_sensitivity",
    ),
    Mutant(
        "the threshold is strict",
        "sandbox/noise/chain.py",
        "for text, value in noisy.items() if value > threshold}",
        "for text, value in noisy.items() if value >= threshold}",
        f"{NOISE}::test_a_key_is_shown_with_the_probability_of_the_strict_tail",
    ),
    Mutant(
        "a unit may show up in several keys",
        "sandbox/plan/price.py",
        "return groups * tail * (1 + 1e-9)",
        "return tail * (1 + 1e-9)",
        f"{PLAN}::test_the_price_is_what_opendp_charges",
    ),
    Mutant(
        "noise grows with the keys a unit touches",
        "sandbox/plan/price.py",
        "return math.sqrt(Fraction(cap * cap * groups * PICO, 2 * pico_rho)) * (1 + MARGIN)",
        "return math.sqrt(Fraction(cap * cap * PICO, 2 * pico_rho)) * (1 + MARGIN)",
        f"{PLAN}::test_the_price_is_what_opendp_charges",
    ),
    Mutant(
        "OpenDP's map is never above the price",
        "sandbox/noise/chain.py",
        "if proved <= asked <= proved * (1 + TOLERANCE)",
        "if asked <= proved * (1 + TOLERANCE)",
        f"{CHAIN}::test_rho_is_not_underpaid_by_the_least_amount",
    ),
    Mutant(
        "delta is not underpaid",
        "sandbox/noise/chain.py",
        " and Fraction(delta) <= Fraction(price.atto_delta, ATTO):",
        ":",
        f"{CHAIN}::test_delta_may_be_overpaid_but_never_underpaid",
    ),
    Mutant(
        "the epsilon of a pure draw is confirmed",
        "sandbox/noise/chain.py",
        "if not proved <= stated <= proved * (1 + TOLERANCE) + Fraction(1, PICO):",
        "if False:",
        f"{PURE}::test_any_other_epsilon_scale_or_rho_is_refused",
    ),
    Mutant(
        "floats are rounded up",
        "sandbox/noise/rounding.py",
        "    return nearest if Fraction(nearest) >= value else math.nextafter(nearest, math.inf)",
        "    return nearest",
        f"{CHAIN}::test_floats_are_never_below_the_integer_and_as_near_as_floats_get",
    ),
    Mutant(
        "a key occurs once",
        "sandbox/noise/space.py",
        "        if len(rows) != self.rows:\n",
        "        if False:\n",
        f"{DRAW}::test_a_failed_draw_says_nothing",
    ),
    Mutant(
        "a key whose total is 0 looks like one without rows",
        "sandbox/noise/chain.py",
        "for text, row in bounded.row_of.items() if values[row] != 0}",
        "for text, row in bounded.row_of.items()}",
        f"{DRAW}::test_a_key_with_no_person_is_as_if_it_were_not_there",
    ),
    # ---- models ----
    Mutant(
        "one unit's contribution to a step is clipped",
        "sandbox/raw/fit_units.py",
        "length, bound = np.sqrt(squares), cap * (1 - 2.0**-30)",
        "length, bound = np.sqrt(squares), cap * 1.5",
        f"{MODEL_STEPS}::test_caps_are_reached_where_they_bind",
    ),
    Mutant(
        "a unit with more rows counts with the weight of rows_per_unit",
        "sandbox/raw/fit_units.py",
        "        most = self.plan.rows_per_unit\n",
        "        most = 7\n",
        f"{MODEL_STEPS}::test_weights_left_out_would_be_noticed",
    ),
    Mutant(
        "contributions are put together by unit",
        "sandbox/raw/fit_units.py",
        "self.alone = plan.single and self.rows == len(starts) <= BLOCK_ROWS",
        "self.alone = True",
        f"{MODEL_STEPS}::test_caps_are_reached_where_they_bind",
    ),
    Mutant(
        "the map of a step's vector covers its cap",
        "sandbox/noise/fit.py",
        "root_above((units(d_in) * cap) ** 2)",
        "root_above((units(d_in) * cap) ** 2 // 2)",
        f"{MODEL_NOISE}::test_the_map_is_for_units_and_covers_the_cap",
    ),
    Mutant(
        "rows of a model come with their unit",
        "sandbox/raw/fit_run.py",
        "not rows.columns[0].unit or ",
        "",
        f"{MODEL_ROWS}::test_duckdb_reads_the_rows_as_the_plan_says",
    ),
    # ---- running totals ----
    Mutant(
        "running totals: nothing comes after the aggregation",
        "sandbox/plan/additive.py",
        "if select.args.get(name):",
        'if name == "with_" and select.args.get(name):',
        f"{ADDED}::test_others_are_refused",
    ),
    Mutant(
        "running totals: columns are aggregates and nothing about them",
        "sandbox/plan/additive.py",
        "if not isinstance(node, _ADDED) or",
        "if",
        f"{ADDED}::test_others_are_refused",
    ),
    Mutant(
        "running totals: there are no subqueries",
        "sandbox/plan/additive.py",
        "if inner is not None:",
        "if False:",
        f"{ADDED}::test_others_are_refused",
    ),
    Mutant(
        "running totals: what times are is said by whoever adds up",
        "sandbox/plan/additive.py",
        "if named is not None:",
        "if False:",
        f"{ADDED}::test_the_column_of_periods_is_not_named",
    ),
    Mutant(
        "running totals: one protected table",
        "sandbox/plan/additive.py",
        "if sum(scan.private for scan in plan.scans) != 1:",
        "if False:",
        f"{ADDED}::test_one_table_is_protected",
    ),
    Mutant(
        "running totals: a condition on time is beside all that was asked",
        "sandbox/plan/additive.py",
        "exp.Paren(this=asked.this)",
        "asked.this",
        f"{ADDED}::test_a_condition_is_put_beside_what_was_asked",
    ),
    Mutant(
        "running totals: times do not overlap",
        "sandbox/plan/additive.py",
        "exp.LT(this=when.copy()",
        "exp.LTE(this=when.copy()",
        f"{ADDED}::test_a_condition_is_put_beside_what_was_asked",
    ),
    Mutant(
        "running totals: errors of a sum grow",
        "sandbox/plan/additive.py",
        "math.sqrt(math.fsum(noise.variance(name) for name in noise.scales))",
        "math.sqrt(max(noise.variance(name) for name in noise.scales))",
        f"{ADDED}::test_a_half_width_covers_the_sum_of_the_noise",
    ),
    Mutant(
        "running totals: the same keys in every table",
        "sandbox/finish/summed.py",
        "if any(not part.equals(parts[0]) for part in parts):",
        "if False:",
        f"{SUMMED}::test_tables_that_do_not_answer_one_question_are_not_added",
    ),
    Mutant(
        "running totals: the same columns in every table",
        "sandbox/finish/summed.py",
        "if any(not table.schema.remove_metadata().equals(first) for table in tables):",
        "if False:",
        f"{SUMMED}::test_tables_that_do_not_answer_one_question_are_not_added",
    ),
    Mutant(
        "running totals: each key once",
        "sandbox/finish/summed.py",
        "if table.group_by(list(keys)).aggregate([]).num_rows != table.num_rows:",
        "if False:",
        f"{SUMMED}::test_a_key_that_stands_twice_in_each_is_not_added",
    ),
    Mutant(
        "running totals: no value is missing",
        "sandbox/finish/summed.py",
        "if any(part.null_count for part in parts):",
        "if False:",
        f"{SUMMED}::test_tables_that_do_not_answer_one_question_are_not_added",
    ),
    Mutant(
        "running totals: sums do not wrap round",
        "sandbox/finish/summed.py",
        "pc.add_checked(total, part)",
        "pc.add(total, part)",
        f"{SUMMED}::test_tables_that_do_not_answer_one_question_are_not_added",
    ),
    Mutant(
        "running totals: rows are matched by key",
        "sandbox/finish/summed.py",
        "return table.take(order).combine_chunks()",
        "return table.combine_chunks()",
        f"{SUMMED}::test_sums_are_those_of_plain_counting",
    ),
    Mutant(
        "running totals: a node holds its periods and no others",
        "policies/product/running.py",
        "return period - (period & -period) + 1, period",
        "return max(1, period - (period & -period)), period",
        f"{RUNNING}::test_nodes_are_those_of_the_binary_tree",
    ),
    Mutant(
        "running totals: a total is of disjoint nodes",
        "policies/product/running.py",
        "(*(nodes(first - 1) if first > 1 else ()), period)",
        "(*(nodes(first) if first > 1 else ()), period)",
        f"{RUNNING}::test_nodes_are_those_of_the_binary_tree",
    ),
    Mutant(
        "running totals: every node that holds a period is charged",
        "policies/product/running.py",
        "return self.periods.bit_length()",
        "return max(1, self.periods.bit_length() - 1)",
        f"{RUNNING}::test_what_a_plan_costs_against_counting_one_by_one",
    ),
    Mutant(
        "running totals: paying anew reads all from the first",
        "policies/product/running.py",
        'return node(period) if way == "tree" else (1, period)',
        "return node(period)",
        f"{RUNNING}::test_paying_anew_reads_everything_each_time",
    ),
    Mutant(
        "running totals: a price asked anew is rounded up",
        "policies/product/running.py",
        "return -(-self.pico_rho // self.most_summed)",
        "return self.pico_rho // self.most_summed",
        f"{RUNNING}::test_what_a_plan_costs_against_counting_one_by_one",
    ),
)
