"""The table: which rule, where it stands, what it becomes, and the fast test that must notice.

A row whose text no longer stands exactly once in its file, or whose test is gone, fails the default suite: whoever rewrites a safeguard moves
its row along.
"""

from __future__ import annotations

from dataclasses import dataclass

CHAIN, CHOOSE = "tests/unit/sandbox/noise/test_chain.py", "tests/unit/sandbox/noise/test_choose.py"
PLAN, PURE, TREE = (f"tests/unit/sandbox/plan/test_{name}.py" for name in ("plan", "pure", "tree"))
KERNEL, SPARSE = (f"tests/unit/sandbox/raw/test_{name}.py" for name in ("kernel", "sparse"))
NEIGHBOURS, OWNERSHIP, MEANING = "tests/properties/test_neighbours.py", "tests/properties/test_ownership.py", "tests/spec/test_meaning.py"
WINDOWS = "tests/properties/test_windows.py"
NOISE, BLOCKS = "tests/statistics/test_noise.py", "tests/properties/test_blocks.py"
DISCLOSURE, SUBTRACTED = "tests/properties/test_disclosure.py", "tests/attack/test_differencing.py"
POPULATIONS = "tests/unit/policies/disclosure/test_predicate.py"
CALLS, CELL, WALLS, LAUNCHER, GROUPS = (
    f"tests/unit/infra/cells/test_{name}.py" for name in ("syscalls", "bwrap", "probe", "launcher", "cgroups")
)
LAUNCHED = "tests/attack/cells/test_launcher.py"
SYNTHETIC, MARKS = "tests/properties/test_synthetic.py", "tests/statistics/test_watermark.py"
MODEL_STEPS = "tests/properties/test_models.py"
MODEL_ROWS, MODEL_NOISE = (f"tests/unit/sandbox/{room}/test_fit.py" for room in ("raw", "noise"))


@dataclass(frozen=True, slots=True)
class Mutant:
    rule: str
    file: str
    old: str
    new: str
    test: str  # path::name
    quick: bool = False  # in the default suite


MUTANTS = (
    # ---- budgets by period ----
    Mutant(
        "by period: rows outside of the window are not read",
        "sandbox/raw/run.py",
        "return table if pc.all(kept, min_count=0).as_py() else table.filter(kept)",
        "return table",
        f"{WINDOWS}::test_a_window_is_held_whatever_is_asked",
    ),
    Mutant(
        "by period: a window ends with the last moment of its last day",
        "sandbox/raw/run.py",
        "window.high + timedelta(days=1)",
        "window.high",
        f"{WINDOWS}::test_a_window_is_held_whatever_is_asked",
    ),
    Mutant(
        "by period: the code is of the period too",
        "sandbox/raw/pseudonyms.py",
        "blocks[:, 0] = periods",
        "blocks[:, 0] = 0",
        f"{WINDOWS}::test_the_unit_is_a_person_and_a_period",
    ),
    Mutant(
        "by period: conditions on a partner that may be missing say nothing",
        "sandbox/plan/windows.py",
        'if relation.kind in ("left", "anti"):',
        'if relation.kind == "none":',
        f"{WINDOWS}::test_queries_of_several_blocks",
    ),
    # ---- programs on blocks ----
    Mutant(
        "a unit's block follows from the unit alone",
        "sandbox/raw/blocks.py",
        "return ((hashes >> np.uint64(32)) * np.uint64(blocks) >> np.uint64(32)).astype(np.int64)",
        "return np.arange(len(hashes), dtype=np.int64) * blocks // max(1, len(hashes))",
        f"{BLOCKS}::test_one_unit_changes_one_block_and_no_total_by_more_than_its_cap",
    ),
    Mutant(
        "a block's bytes hold nothing of its neighbours",
        "sandbox/raw/blocks.py",
        "plain(piece.column(name)) for name in scan.columns",
        "piece.column(name) for name in scan.columns",
        f"{BLOCKS}::test_one_unit_changes_one_block_and_no_total_by_more_than_its_cap",
    ),
    Mutant(
        "units are numbered within their block",
        "sandbox/raw/blocks.py",
        "pa.array(ranks[first:last] - low, pa.int64())",
        "pa.array(ranks[first:last], pa.int64())",
        f"{BLOCKS}::test_one_unit_changes_one_block_and_no_total_by_more_than_its_cap",
    ),
    Mutant(
        "what gives no frame counts as its default",
        "sandbox/program/run.py",
        "given = np.full((len(frames), self.floats), np.nan)",
        "given = np.zeros((len(frames), self.floats))",
        f"{BLOCKS}::test_a_block_that_gives_nothing_still_counts",
    ),
    Mutant(
        "a sum over blocks is priced for a block that becomes another",
        "sandbox/program/answers.py",
        "max(clamp.width, clamp.cap), clamp.decimals)",
        "clamp.cap, clamp.decimals)",
        f"{BLOCKS}::test_one_unit_changes_one_block_and_no_total_by_more_than_its_cap",
    ),
    Mutant(
        "a histogram of blocks is priced for one that goes and one that comes",
        "sandbox/program/answers.py",
        "clamp.most, 2, clamp.decimals, step=step, quantile=share)",
        "clamp.most, 1, clamp.decimals, step=step, quantile=share)",
        f"{BLOCKS}::test_one_unit_changes_one_block_and_no_total_by_more_than_its_cap",
    ),
    # ---- who owns a row ----
    Mutant(
        "two units meet only on equality of their ids",
        "sandbox/plan/ir.py",
        "if not any(equates(term, left, right) for term in conjuncts(relation.on)):",
        "if False:",
        f"{PLAN}::test_ownership_of_joins",
        quick=True,
    ),
    Mutant(
        "units of two spaces never meet",
        "sandbox/plan/ir.py",
        '    if left.space != right.space or left.unit.type.kind != right.unit.type.kind:\n        raise Unowned("spaces"',
        '    if False:\n        raise Unowned("spaces"',
        f"{PLAN}::test_ownership_of_joins",
    ),
    Mutant(
        "equality of units is a condition at the top level",
        "sandbox/plan/ir.py",
        'if isinstance(predicate, Call) and predicate.op == "and":',
        'if isinstance(predicate, Call) and predicate.op in ("and", "or"):',
        f"{PLAN}::test_ownership_of_joins",
    ),
    Mutant(
        "the owned side of an outer join is preserved",
        "sandbox/plan/ir.py",
        'if left is None and right is not None and relation.kind != "inner":',
        "if False:",
        f"{PLAN}::test_ownership_of_joins",
    ),
    Mutant(
        "windows are of one unit",
        "sandbox/plan/ir.py",
        "not (item.args and whose.names(item.args[0])))",
        "False)",
        f"{PLAN}::test_ownership_of_blocks",
    ),
    Mutant(
        "both sides of a union are owned",
        "sandbox/plan/ir.py",
        "if left is None or right is None or left.space != right.space",
        "if left is not None and right is not None and left.space != right.space",
        f"{PLAN}::test_ownership_of_blocks",
    ),
    # ---- bounding, by SQL ----
    Mutant(
        "a row's value is inside its range",
        "sandbox/plan/emit.py",
        "WHEN {name} > {ends[1]} THEN {ends[1]} ELSE {name} END AS BIGINT)",
        "ELSE {name} END AS BIGINT)",
        f"{KERNEL}::test_it_says_what_the_sql_plan_says",
    ),
    Mutant(
        "a unit's count in a key is cut",
        "sandbox/plan/emit.py",
        'return f"CAST(least({counted}, {total.cap}) AS BIGINT)"',
        'return f"CAST({counted} AS BIGINT)"',
        f"{KERNEL}::test_it_says_what_the_sql_plan_says",
    ),
    Mutant(
        "a unit's sum in a key is clamped",
        "sandbox/plan/emit.py",
        'return f"CAST(least(greatest(COALESCE(sum({value}), 0), {low}), {high}) AS BIGINT)"',
        'return f"CAST(COALESCE(sum({value}), 0) AS BIGINT)"',
        f"{KERNEL}::test_a_units_sum_in_a_key_is_clamped_by_kernel_and_query",
    ),
    Mutant(
        "a unit's part of an average has the weight of its bound",
        "sandbox/plan/emit.py",
        "ELSE sum({value}) * {rows} // {counted} END",
        "ELSE sum({value}) END",
        f"{KERNEL}::test_it_says_what_the_sql_plan_says",
    ),
    Mutant(
        "a unit has few rows in a histogram",
        "sandbox/plan/emit.py",
        "least(len({total.name}), {total.cap}) AS m",
        "len({total.name}) AS m",
        f"{KERNEL}::test_of_many_rows_the_same_are_counted",
    ),
    Mutant(
        "a unit has few keys",
        "sandbox/plan/emit.py",
        'OVER (PARTITION BY u ORDER BY {order}) <= {most}"',
        'OVER (PARTITION BY u ORDER BY {order}) > 0"',
        f"{NEIGHBOURS}::test_a_unit_moves_no_more_than_promised",
    ),
    Mutant(
        "keys are ranked within a unit",
        "sandbox/plan/emit.py",
        "row_number() OVER (PARTITION BY u ORDER BY",
        "row_number() OVER (ORDER BY",
        f"{NEIGHBOURS}::test_a_unit_moves_no_more_than_promised",
    ),
    Mutant(
        "a NULL unit is nobody",
        "sandbox/plan/emit.py",
        'kept = ["u IS NOT NULL", f"{SEED} IS NOT NULL"]',
        'kept = [f"{SEED} IS NOT NULL"]',
        f"{NEIGHBOURS}::test_a_null_unit_is_nobody",
    ),
    # ---- bounding, by the kernels ----
    Mutant(
        "dense kernel: a unit's count in a key is cut",
        "sandbox/raw/kernel.py",
        "return np.minimum(counted, total.cap)",
        "return counted",
        f"{KERNEL}::test_of_many_rows_the_same_are_counted",
        quick=True,
    ),
    Mutant(
        "kernels: a unit's sum in a key is clamped",
        "sandbox/raw/kernel.py",
        "return np.clip(summed, min(0, rows * total.low), max(0, rows * total.high))",
        "return summed",
        f"{KERNEL}::test_a_units_sum_in_a_key_is_clamped_by_kernel_and_query",
    ),
    Mutant(
        "kernels: a row's value is inside its range",
        "sandbox/raw/kernel.py",
        "return Values(np.clip(plain, total.low + total.centre, total.high + total.centre) - total.centre, there)",
        "return Values(plain - total.centre, there)",
        f"{KERNEL}::test_it_says_what_the_sql_plan_says",
    ),
    Mutant(
        "dense kernel: a unit has few keys",
        "sandbox/raw/kernel.py",
        'kind="stable")[: self.part.groups_per_unit]',
        'kind="stable")[: self.part.groups_per_unit + 1]',
        f"{KERNEL}::test_a_unit_moves_few_keys_by_its_cap_and_nobody_elses",
    ),
    Mutant(
        "kernels: the order of rows is mended",
        "sandbox/raw/kernel.py",
        "    if increasing(unit.take(pa.array(run_starts(unit)))):\n",
        "    if True:\n",
        f"{KERNEL}::test_it_says_what_the_sql_plan_says",
    ),
    Mutant(
        "sparse kernel: a unit has few keys",
        "sandbox/raw/sparse.py",
        "keep[crowded[place[rank >= most]]] = False",
        "keep[crowded[place[rank > most]]] = False",
        f"{SPARSE}::test_a_unit_moves_few_keys_by_its_cap_and_nobody_elses",
    ),
    Mutant(
        "sparse kernel: ties are broken by keys",
        "sandbox/raw/sparse.py",
        "rank[order] = np.arange(len(order))\n    rank[-1] = len(order)  # NULL",
        "rank[:-1] = np.arange(len(order))\n    rank[-1] = len(order)  # NULL",
        f"{SPARSE}::test_equal_hashes_are_broken_by_the_keys",
    ),
    Mutant(
        "sparse kernel: a unit has few rows in a histogram",
        "sandbox/raw/sparse.py",
        "over = counted > cap\n",
        "over = counted > 10**9\n",
        f"{SPARSE}::test_of_many_rows_the_same_are_counted",
    ),
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
        f"{CHAIN}::test_a_failed_draw_says_nothing",
    ),
    Mutant(
        "a key whose total is 0 looks like one without rows",
        "sandbox/noise/chain.py",
        "for text, row in bounded.row_of.items() if values[row] != 0}",
        "for text, row in bounded.row_of.items()}",
        f"{CHAIN}::test_a_key_with_no_person_is_as_if_it_were_not_there",
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
    # ---- cells ----
    Mutant(
        "the launcher hears those who are named",
        "infra/cells/launcher.py",
        "return user in self.users",
        "return True",
        f"{LAUNCHER}::test_whoever_is_not_named_is_not_heard",
    ),
    Mutant(
        "the launcher gives no more than its own settings say",
        "infra/cells/launcher.py",
        "memory_mb=min(asked.memory_mb, self.memory_mb),",
        "",
        f"{LAUNCHER}::test_no_block_gets_more_than_the_launchers_own_settings_say",
    ),
    Mutant(
        "the launcher reads sealed files only",
        "infra/cells/frames.py",
        "if fcntl.fcntl(file, fcntl.F_GET_SEALS) & _SEALS != _SEALS:",
        "if False:",
        f"{LAUNCHED}::test_files_that_are_no_contents",
    ),
    Mutant(
        "and closes every file it was sent",
        "infra/cells/frames.py",
        """        for file in files:
            with suppress(OSError):
                os.close(file)""",
        "        pass",
        f"{LAUNCHED}::test_files_too_many_or_too_few",
    ),
    Mutant(
        "it takes the keys of a message, all of them and no other",
        "infra/cells/frames.py",
        "if values.keys() != keys.keys() or any(type(values[key]) is not kind for key, kind in keys.items()):",
        "if not values.keys() >= keys.keys():",
        f"{LAUNCHED}::test_what_is_not_understood_is_dropped",
    ),
    Mutant(
        "a container has no network",
        "infra/cells/docker.py",
        '"NetworkMode": "host" if "network" in without else "none",',
        '"NetworkMode": "bridge",',
        f"{LAUNCHED}::test_flags_are_the_same_for_every_job",
    ),
    Mutant(
        "a group that is killed forks no more",
        "infra/cells/cgroups.py",
        """                (folder / "pids.max").write_text("0")""",
        "                pass",
        f"{GROUPS}::test_whoever_forks_all_the_time_is_ended_too",
    ),
    Mutant(
        "no group is left behind by who was killed",
        "infra/cells/cgroups.py",
        """return "gone" if fields[0] in "ZX" else fields[19]""",
        "return fields[19]",
        f"{GROUPS}::test_a_group_of_a_maker_that_was_killed_is_swept",
    ),
    Mutant(
        "files do not tell a block when they were made",
        "infra/cells/syscalls.py",
        """*(Call(name, "block", tuple(Rule(0, bit, bit) for bit in _OPENED)) for name in ("fstat", "newfstatat")),""",
        """*_calls("block", "fstat newfstatat"),""",
        f"{CALLS}::test_rules_of_the_block",
    ),
    Mutant(
        "a futex is private, and only woken",
        "infra/cells/syscalls.py",
        'Call("futex", "block", _one_of(1, _FUTEX_WAKE_PRIVATE)),',
        'Call("futex", "block"),',
        f"{CALLS}::test_rules_of_the_block",
        quick=True,
    ),
    Mutant(
        "what is not in the table is refused",
        "infra/cells/bpf.py",
        'return b"".join([*steps, _step(_RETURN, REFUSE)])',
        'return b"".join([*steps, _step(_RETURN, ALLOW)])',
        f"{CALLS}::test_bpf_and_docker_answer_every_call_alike",
    ),
    Mutant(
        "calls by x32's numbers kill",
        "infra/cells/bpf.py",
        "steps += [_step(_IF_AT_LEAST, X32, 0, 1), _step(_RETURN, KILL)]",
        "pass",
        f"{CALLS}::test_other_ways_to_number_calls_kill",
    ),
    Mutant(
        "a frame has the declared length or is none",
        "infra/cells/wire.py",
        "found[frame] if len(found[frame]) == self._limits.output_bytes else None",
        "found[frame]",
        f"{CELL}::test_whatever_goes_wrong_gives_no_frame_and_leaves_the_cell_whole",
    ),
    Mutant(
        "a cell without a safeguard is refused",
        "infra/cells/wire.py",
        "if not features.get(name) and name not in accept:",
        "if False:",
        f"{CELL}::test_a_cell_without_a_feature_is_refused_unless_accepted",
    ),
    Mutant(
        "a block is sealed",
        "infra/cells/wire.py",
        "fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL",
        "fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK",
        f"{CELL}::test_a_block_cannot_be_changed_once_handed_over",
    ),
    Mutant(
        "a cell has no network",
        "infra/cells/bwrap.py",
        'command += [] if "network" in without else ["--unshare-net"]',
        "pass",
        f"{WALLS}::test_each_wall_holds_by_itself",
    ),
    Mutant(
        "a block has no capability",
        "infra/cells/zygote.py",
        "_did(_libc.syscall(_CAPSET, self._header, self._no_capabilities))",
        "pass",
        f"{WALLS}::test_each_wall_holds_by_itself",
    ),
    Mutant(
        "Landlock is put in force",
        "infra/cells/zygote.py",
        "_did(_libc.syscall(_LANDLOCK_RESTRICT, self._ruleset, 0))",
        "pass",
        f"{WALLS}::test_each_wall_holds_by_itself",
    ),
    Mutant(
        "inherited files are closed",
        "infra/cells/zygote.py",
        "_did(_libc.syscall(_CLOSE_RANGE, FRAME + 1, 0xFFFFFFFF, 0))",
        "pass",
        f"{WALLS}::test_each_wall_holds_by_itself",
    ),
    Mutant(
        "the counter of cycles faults",
        "infra/cells/zygote.py",
        "return bool(_libc.prctl(_PR_SET_TSC, _PR_TSC_SIGSEGV, 0, 0, 0) == 0)",
        "return True",
        f"{WALLS}::test_each_wall_holds_by_itself",
    ),
    Mutant(
        "/proc is unmounted",
        "infra/cells/zygote.py",
        '_libc.umount2(b"/proc", _DETACH_MOUNT) == 0',
        "True",
        f"{WALLS}::test_each_wall_holds_by_itself",
    ),
    Mutant(
        "memory is limited",
        "infra/cells/zygote.py",
        "(resource.RLIMIT_AS, self._address_space + cargo.memory),",
        "",
        f"{WALLS}::test_each_wall_holds_by_itself",
    ),
    Mutant(
        "a block's own filter is put in force",
        "infra/cells/zygote.py",
        "cargo.block_filter.install()",
        "pass",
        f"{WALLS}::test_each_wall_holds_by_itself",
    ),
    Mutant(
        "what cannot be confined is said",
        "infra/cells/zygote.py",
        'control.send(b"D" if nursery.run(control, *files) else b"F")',
        'control.send(b"D" if nursery.run(control, *files) else b"D")',
        f"{CELL}::test_what_cannot_be_confined_is_said_and_not_run",
    ),
    Mutant(
        "a block that is killed before its program begins ends like any other",
        "infra/cells/zygote.py",
        'os.read(told, 1) == b"y" or os.waitstatus_to_exitcode(ended) != UNCONFINED',
        'os.read(told, 1) == b"y"',
        f"{CELL}::test_a_block_too_large_for_the_group_gives_no_frame",
    ),
    Mutant(
        "silence of a cell is no proof that it holds",
        "infra/cells/probe.py",
        'else (float("nan"),) * max(1, len(names))',
        "else (0.0,) * 32",
        f"{WALLS}::test_silence_is_no_proof",
    ),
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
