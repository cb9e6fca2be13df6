"""Families 1 to 30: reaching out, reading, writing, other processes, resources, outputs."""

from __future__ import annotations

from tests.attack.cells.table import Family, Probe

ALWAYS = "there is no cell in which it could be otherwise: a process that has ended, or has not written its frame, gives none"
ENDED = "attack/cells/test_first_half.py::test_whatever_ends_a_block_looks_the_same"
WAITS = "that somebody waits no longer than the wall clock says is no safeguard that can be left out; see tests/unit/infra/cells"
OTHERS = "seccomp namespaces landlock"
CALLS = "seccomp landlock"


def ends(name: str, why: str = ALWAYS) -> Probe:
    return Probe(name, must="default", alone=True, weaker="", why=why)


FAMILIES: tuple[Family, ...] = (
    Family(
        1,
        "Sockets of IPv4 and IPv6, streams and datagrams, to loopback",
        (Probe("network:tcp_loopback"), Probe("network:udp_loopback"), Probe("network:tcp6_loopback")),
    ),
    Family(2, "Where clouds hand out credentials", (Probe("network:metadata"), Probe("network:metadata6"))),
    Family(3, "Names of machines", (Probe("network:names"), Probe("network:addresses"), Probe("network:resolver"))),
    Family(
        4,
        "Sockets of the machine, by path and by abstract name; pairs of them",
        (Probe("network:unix_by_path"), Probe("network:unix_by_abstract_name"), Probe("network:socket_pair")),
    ),
    Family(5, "Netlink, packets, virtual machines' sockets, the kernel's ciphers", (Probe("network:other_families"),)),
    Family(
        6,
        "Files of the machine: a secret, its users, homes, the harness",
        (
            Probe("files:canary"),
            Probe("files:users"),
            Probe("files:homes"),
            Probe("files:harness_source", weaker="landlock"),
        ),
    ),
    Family(
        7,
        "Lists of folders, paths that lead upwards, links",
        (
            Probe("files:listing", weaker="landlock"),
            Probe("files:inputs", weaker="landlock"),
            Probe("files:upwards", weaker="landlock"),
            Probe("files:by_symlink"),
        ),
    ),
    Family(
        8,
        "Writing: files, folders, names, nameless files, the libraries that all share",
        (
            Probe("files:write"),
            Probe("files:make_folder"),
            Probe("files:rename"),
            Probe("files:nameless_file"),
            Probe("files:append_to_library"),
            Probe("files:memory_file", weaker="seccomp"),
        ),
    ),
    Family(9, "What a block leaves for the next", tests=("attack/cells/test_first_half.py::test_a_block_finds_nothing_of_an_earlier_one",)),
    Family(
        10,
        "Processes as the kernel shows them",
        (Probe("looking:own_process", weaker="proc landlock"), Probe("looking:other_processes", weaker="proc landlock")),
    ),
    Family(
        11,
        "What the machine is doing",
        (Probe("looking:the_machine", weaker="proc landlock"), Probe("looking:machine_by_call", weaker="seccomp")),
    ),
    Family(12, "Devices", (Probe("files:devices"),)),
    Family(13, "Files that were open before", (Probe("looking:inherited_files", weaker="descriptors"),)),
    Family(
        14,
        "Environment, arguments, the machine's name, who we are outside",
        (
            Probe("looking:environment"),
            Probe("looking:host_name", weaker="seccomp"),
            Probe("looking:mapped_user"),
            Probe(
                "looking:arguments",
                weaker="",
                why="nothing of the machine is among them in any cell; what there is are flags of the interpreter",
            ),
        ),
    ),
    Family(
        15,
        "What the harness left in memory",
        (
            Probe("looking:harness_memory"),
            Probe("looking:modules_of_ours", weaker="", why="the zygote is started, not forked, and imports none in any cell"),
        ),
        tests=("attack/cells/test_first_half.py::test_a_block_finds_nothing_of_an_earlier_one",),
    ),
    Family(
        16,
        "Tracing processes, reading and writing their memory",
        (
            Probe("processes:trace_me", alone=True, weaker="seccomp"),
            Probe("processes:trace_others", weaker=OTHERS),
            Probe("processes:read_memory", weaker="seccomp"),
            Probe("processes:write_memory", weaker="seccomp"),
            Probe("processes:process_file", weaker="seccomp"),
            Probe("processes:compare", weaker="seccomp"),
        ),
    ),
    Family(
        17,
        "Signals to others; groups and sessions of processes",
        (
            Probe("processes:signal_others", weaker=OTHERS),
            Probe("processes:signal_all", weaker=OTHERS),
            Probe("processes:signal_threads", weaker="seccomp"),
            Probe("processes:new_session", alone=True, weaker=OTHERS),
            Probe("processes:new_group", weaker=OTHERS),
        ),
    ),
    Family(
        18,
        "Forks, by every call",
        (
            Probe("processes:forks", weaker="seccomp"),
            Probe("processes:raw_clone", weaker="seccomp"),
            Probe("processes:raw_clone3", weaker="seccomp"),
            Probe("processes:bomb", weaker="seccomp"),
        ),
        tests=("attack/cells/test_first_half.py::test_a_fork_bomb_is_held_by_the_group",),
    ),
    Family(19, "Threads", (Probe("processes:thread", weaker="seccomp"),)),
    Family(
        20,
        "Running programs: from files, from memory, by the loader",
        (
            Probe("processes:spawns", weaker=CALLS),
            Probe("processes:runs_file", weaker=CALLS),
            Probe("processes:runs_memory", weaker=CALLS),
            Probe("processes:runs_loader", weaker=CALLS),
        ),
    ),
    Family(
        21,
        "Memory: one large array, of numpy, pages, many small pieces",
        (
            Probe("resources:one_array", weaker="limits"),
            Probe("resources:numpy_array", weaker="limits"),
            Probe("resources:pages", weaker="limits"),
            Probe("resources:many_small", alone=True, weaker="limits"),
        ),
    ),
    Family(
        22,
        "Never ending: in Python, in C, asleep",
        (
            Probe("resources:spin", must="default", alone=True, weaker="limits clocks seccomp"),
            ends("resources:deaf_spin", WAITS),
        ),
        tests=(ENDED,),
    ),
    Family(
        23,
        "Ending badly: recursion, a stack overflow, a segmentation fault, abort, an exit status",
        (
            ends("resources:recursion"),
            ends("resources:stack"),
            ends("resources:segfault"),
            ends("resources:abort"),
            ends("resources:leave"),
        ),
    ),
    Family(
        24,
        "Filling disks, core files, logs",
        (
            Probe("resources:core_dumps", weaker="limits seccomp"),
            Probe("resources:dumpable", weaker="limits seccomp"),
            Probe("resources:large_files", weaker="limits seccomp"),
            Probe("resources:log_flood", weaker="", why="what is printed goes nowhere in any cell; there is nothing to get hold of"),
        ),
    ),
    Family(
        25,
        "Frames: endless, a byte too long, a byte too short, none, half, closed",
        tuple(ends(f"resources:{name}") for name in ("flood", "one_byte_more", "one_byte_less", "no_frame", "closes")),
        tests=(ENDED,),
    ),
    Family(26, "The length of what comes out", tests=(ENDED,)),
    Family(27, "Exit status and signal", tests=(ENDED,)),
    Family(28, "Messages of errors", tests=("attack/cells/test_first_half.py::test_what_a_program_says_is_heard_by_nobody",)),
    Family(
        29,
        "How long it takes, told to whoever waits",
        tests=("unit/jobs/test_program_jobs.py::test_the_quote_advises_on_blocks_and_reserves_the_schedule_for_the_worst",),
    ),
    Family(
        30,
        "How many blocks fail",
        tests=(
            "unit/jobs/test_program_jobs.py::test_however_a_program_fails_the_outcome_has_one_form",
            "properties/test_blocks.py::test_a_block_that_gives_nothing_still_counts",
        ),
    ),
)
