"""What programs run in."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

CALLS, CELL, WALLS, LAUNCHER, GROUPS = (
    f"tests/unit/infra/cells/test_{name}.py" for name in ("syscalls", "bwrap", "probe", "launcher", "cgroups")
)
LAUNCHED = "tests/attack/cells/test_launcher.py"

CELLS = (
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
)
