"""Families 31 to 60: formats, clocks, hidden channels, the kernel's rarer doors, what surrounds cells."""

from __future__ import annotations

from tests.attack.cells.table import Family, Probe

CELLS = "attack/cells"
SECCOMP = "seccomp"

FAMILIES: tuple[Family, ...] = (
    Family(31, "Numbers that are none, and frames of another shape", tests=(f"{CELLS}/test_outputs.py::test_numbers_that_are_none",)),
    Family(32, "Outputs that do something when they are read", tests=(f"{CELLS}/test_outputs.py::test_what_acts_when_read_is_never_read",)),
    Family(33, "Damaged Arrow streams", tests=(f"{CELLS}/test_outputs.py::test_damaged_blocks",)),
    Family(34, "Damaged and excessive JSON", tests=(f"{CELLS}/test_outputs.py::test_excessive_parameters",)),
    Family(
        35,
        "Clocks: calls that tell time, counters of the processor, the kernel's clock page, the ticks of its interrupts",
        (
            Probe("clocks:time_calls", weaker="clocks seccomp"),
            Probe("clocks:every_clock_id", weaker="clocks seccomp"),
            Probe("clocks:calls_that_tell", weaker=SECCOMP),
            Probe("clocks:cycle_counter", alone=True, weaker="clocks seccomp"),
            Probe("clocks:cycle_counter_in_order", alone=True, weaker="clocks seccomp"),
            Probe("clocks:instruction_counter", alone=True, weaker="", why="this machine's processor has no rdpru"),
            Probe("clocks:performance_counter", alone=True, weaker="", why="the kernel lets no process read rdpmc unless perf does"),
            Probe("clocks:interrupts", alone=True, weaker=SECCOMP),
            Probe("clocks:times_of_the_frame", alone=True, weaker="", why="kernels since 6.15 note no times of pipes; older ones do"),
            Probe("clocks:times_of_any_file", weaker="seccomp"),
            Probe("clocks:restartable_sequences", weaker="plain"),
            Probe("clocks:clock_page_by_address", weaker="plain"),
            Probe("clocks:clock_page_by_search", weaker="plain"),
        ),
        tests=(f"{CELLS}/test_clocks.py::test_without_the_filter_there_is_still_no_counter",),
    ),
    Family(
        36,
        "Waiting for a time, which is a clock, too",
        (
            Probe("clocks:waits", weaker=SECCOMP),
            Probe("clocks:rings", weaker=SECCOMP),
            Probe("clocks:futex_with_a_timeout", weaker=SECCOMP),
            Probe("clocks:counts_in_a_thread", weaker=SECCOMP),
        ),
    ),
    Family(
        37,
        "Waiting for and waking a neighbour by a file that both map",
        (
            Probe("neighbours:futex_on_a_common_file", weaker=SECCOMP),
            Probe("neighbours:futex_calls_of_today", weaker=SECCOMP),
        ),
        tests=(f"{CELLS}/test_channels.py::test_no_bit_gets_across",),
    ),
    Family(
        38,
        "Locks, leases and notices on a file that both can open",
        (Probe("neighbours:file_locks", weaker=SECCOMP),),
        tests=(f"{CELLS}/test_channels.py::test_no_bit_gets_across",),
    ),
    Family(
        39,
        "Watching a common file; the mark that reading leaves on it",
        (
            Probe("neighbours:watches", weaker=SECCOMP),
            Probe("neighbours:access_times", weaker="", why="the root is mounted read-only in every cell there is"),
        ),
    ),
    Family(
        40,
        "What is in the page cache, asked or changed",
        (
            Probe("neighbours:page_cache", weaker=SECCOMP),
            Probe("neighbours:page_cache_changed", weaker=SECCOMP),
            Probe("neighbours:page_out", weaker=SECCOMP),
        ),
    ),
    Family(
        41,
        "Keyrings, shared memory, semaphores, message queues",
        (
            Probe("neighbours:keys", weaker=SECCOMP),
            Probe("neighbours:shared_memory", weaker=SECCOMP),
            Probe("neighbours:shared_memory_folder"),
        ),
    ),
    Family(
        42,
        "Counters that the kernel keeps by user, or counts up for everybody",
        (
            Probe("neighbours:counters_of_the_user", weaker=SECCOMP),
            Probe("neighbours:own_numbers"),
        ),
        tests=(f"{CELLS}/test_channels.py::test_blocks_answer_alike_whatever_a_neighbour_does",),
    ),
    Family(43, "A neighbour's load, felt without a clock", tests=(f"{CELLS}/test_channels.py::test_load_cannot_be_heard",)),
    Family(44, "Something left for the next block", tests=(f"{CELLS}/test_channels.py::test_nothing_is_left_for_the_next_block",)),
    Family(
        45,
        "Namespaces, mounts, another root",
        (Probe("kernel:namespaces", alone=True, weaker=SECCOMP), Probe("kernel:mounts", weaker="unsafe")),
    ),
    Family(
        46,
        "Calls that work past filters, and those of administrators",
        (
            Probe("kernel:rings", weaker=SECCOMP),
            Probe("kernel:programs_in_the_kernel", weaker=SECCOMP),
            Probe("kernel:administration", weaker=SECCOMP),
            Probe("kernel:other_processes", weaker="unsafe"),
        ),
    ),
    Family(
        47,
        "Calls by the numbers of another machine",
        (
            Probe("kernel:other_abi_interrupt", alone=True, weaker=SECCOMP),
            Probe("kernel:other_abi_x32", must="default", alone=True, weaker=SECCOMP),
        ),
    ),
    Family(
        48,
        "Lifting limits, undoing safeguards",
        (
            Probe("kernel:lifts_limits", weaker=SECCOMP),
            Probe("kernel:gives_itself_clocks", weaker=SECCOMP),
            Probe("kernel:controls_itself", weaker=SECCOMP),
        ),
    ),
    Family(
        49,
        "Terminals",
        (
            Probe("kernel:terminal", weaker="", why="tests have no terminal to lend"),
            Probe("kernel:may_ioctl", weaker=SECCOMP),
        ),
    ),
    Family(
        50,
        "Programs with others' rights",
        (
            Probe("kernel:other_rights"),
            Probe("kernel:new_rights"),
            Probe("kernel:capabilities"),
        ),
    ),
    Family(51, "Ray's ports and sockets, with and without its token", tests=(f"{CELLS}/test_surroundings.py::test_ray_is_out_of_reach",)),
    Family(
        52,
        "Ray on addresses that others reach",
        tests=(
            "unit/infra/test_workers.py::test_ray_listens_on_loopback_only",
            "unit/infra/test_workers.py::test_only_this_user_can_reach_ray",
        ),
    ),
    Family(
        53,
        "Packages that are more than files",
        tests=(
            "unit/sandbox/program/test_package.py::test_a_package_that_is_not_in_order_is_refused_and_its_faults_located",
            f"{CELLS}/test_surroundings.py::test_a_package_takes_no_library_s_place",
        ),
    ),
    Family(
        54,
        "Sources that choke whoever reads them",
        tests=(
            f"{CELLS}/test_surroundings.py::test_sources_that_choke",
            "unit/sandbox/program/test_package.py::test_nothing_in_a_package_is_run",
        ),
    ),
    Family(55, "Flags, volumes and images that a job would like", tests=(f"{CELLS}/test_launcher.py::test_flags_are_the_same_for_every_job",)),
    Family(56, "Frames that the launcher does not expect", tests=(f"{CELLS}/test_launcher.py::test_what_is_not_understood_is_dropped",)),
    Family(
        57, "Killing whoever holds a cell, in the middle of a block", tests=(f"{CELLS}/test_teardown.py::test_a_cell_ends_with_its_holder",)
    ),
    Family(
        58,
        "SQL that reaches past its tables",
        tests=(
            "attack/test_wall.py::test_sql_reaches_nothing_but_its_tables",
            "attack/test_wall.py::test_the_database_is_locked_as_promised",
        ),
    ),
    Family(59, "Two operators' cells at once", tests=(f"{CELLS}/test_channels.py::test_two_operators_share_nothing",)),
    Family(60, "A machine that lacks a safeguard", tests=(f"{CELLS}/test_closed.py::test_a_cell_without_a_safeguard_does_not_open",)),
)
