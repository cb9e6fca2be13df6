"""What comes out of a cell, and what goes in, when it is not what it should be."""

from __future__ import annotations

import io
import json
import math
import random
import struct
import zipfile
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from infra.cells.base import Cargo, Limits
from sandbox.program.manifest import Output
from sandbox.program.run import Clamp
from tests.attack.cells.arena import LIMITS, Arena, Outside, block

THREE = Limits(memory_mb=128, cpu_s=1, wall_s=5.0, output_bytes=24)
TITLE = {"zh": "率", "en": "rate"}


def program(source: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("main.py", source)
    return packed.getvalue()


def results(arena: Arena, source: str, parameters: bytes = b"{}", limits: Limits = THREE) -> list[bytes | None]:
    """What a program gives for two blocks, one after the other."""
    with arena.backend().open(Cargo(program(source), "main:run", parameters), limits) as cell:
        return [cell.run(block([("x", {})])) for _ in range(2)]


def test_numbers_that_are_none() -> None:
    """The trusted end makes the same of every frame that holds no number in range: a whole number of steps within the declared ends."""
    clamp = Clamp.of(Output(name="rate", title=TITLE, low=Decimal(0), high=Decimal(10), default=Decimal(3)))
    payload = struct.unpack("<d", struct.pack("<Q", 0x7FF8_DEAD_BEEF_0001))[0]
    signalling = struct.unpack("<d", struct.pack("<Q", 0x7FF0_0000_0000_0001))[0]
    strange = np.array([math.nan, -math.nan, payload, signalling, math.inf, -math.inf])
    assert set(clamp.fixed(strange)) == {clamp.default}
    tiny = np.array([-0.0, 5e-324, -5e-324, 2.2e-308, 0.0])
    assert len(set(clamp.fixed(tiny))) == 1
    large = np.array([1e308, -1e308, 11.0, -1.0])
    assert list(clamp.fixed(large)) == [clamp.most, clamp.least, clamp.most, clamp.least]


SHAPES = (
    "['1', 'x', '3']",
    "[1.0, 2.0]",
    "[1.0, 2.0, 3.0, 4.0]",
    "None",
    "[[1.0], [2.0], [3.0]]",
    "[1j, 2j, 3j]",
    "[10**400] * 3",
    "__import__('numpy').zeros((3, 2))",
    "iter(int, 1)",
    "{'a': 1, 'b': 2, 'c': 3}",
    "Lying()",
)


def test_frames_of_another_shape(out: Outside) -> None:
    """Anything but three numbers gives no frame; three numbers give one, before and after."""
    source = "class Lying:\n  def __float__(self): return 'x'\n  def __len__(self): return -1\n  def __iter__(self): return self\n"
    source += "def run(rows, parameters):\n  return eval(rows['probe'][0].as_py())\n"
    asked = ["[1, 2, 3]", *SHAPES, "[1, 2, 3]"]
    with Arena("bwrap", False, out.world).backend().open(Cargo(program(source), "main:run"), THREE) as cell:
        found = {index: cell.run(block([(result, {})])) for index, result in enumerate(asked)}
    good = struct.pack("<3d", 1, 2, 3)
    assert list(found.values()) == [good, *[None] * len(SHAPES), good]


@pytest.mark.parametrize("probe", ["outputs:pickled", "outputs:numpy_object", "outputs:yaml_text"])
def test_what_acts_when_read_is_never_read(warm: Arena, probe: str, tmp_path: Path) -> None:
    """Bytes of the right length are a frame, whatever else they could be taken for: numbers, and nothing that acts."""
    trap = tmp_path / "sprung"
    with warm.ring() as ring:
        frame = ring.cell.run(block([(probe, {"trap": str(trap)})]))
    assert frame is not None
    assert len(frame) == LIMITS.output_bytes
    assert not trap.exists()


def damaged(draw: random.Random, good: bytes) -> bytes:
    """An Arrow stream with bytes changed, missing, doubled or inserted."""
    data = bytearray(good)
    for _ in range(draw.randrange(1, 6)):
        at = draw.randrange(len(data))
        way = draw.randrange(5)
        if way == 0:
            data[at] ^= 1 << draw.randrange(8)
        elif way == 1:
            del data[at : at + draw.randrange(1, 64)]
        elif way == 2:
            data[at:at] = draw.randbytes(draw.randrange(1, 64))
        elif way == 3:
            data[at : at + 4] = struct.pack("<i", draw.choice([-1, 0, 2**31 - 1, -(2**31), draw.randrange(2**31)]))
        else:
            data[at : at + 8] = struct.pack("<q", draw.choice([-1, 2**63 - 1, -(2**63), draw.randrange(2**40)]))
        data = data or bytearray(1)
    return bytes(data)


def test_damaged_blocks(warm: Arena) -> None:
    """The trusted end writes blocks and reads none. Were one damaged on its way: the cell may end, and the next block is as good as ever."""
    read = "rows['probe'].to_pylist()"
    source = f"def run(rows, parameters):\n  return [float(rows.num_rows), float(len({read})), float(sum(map(len, {read})))]\n"
    good, draw = block([("abc", {"x": [1] * number}) for number in range(40)]), random.Random(33)
    with warm.backend().open(Cargo(program(source), "main:run"), THREE) as cell:
        expected = cell.run(good)
        assert expected is not None
        for _ in range(warm.trials):
            cell.run(damaged(draw, good))
        assert cell.run(good) == expected


@pytest.mark.parametrize(
    ("parameters", "fine"),
    [
        (b'{"a": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}", False),
        (b'{"a": ' + b"9" * 100_000 + b"}", False),
        (b'{"a": NaN, "b": Infinity}', True),
        (b'{"a": 1, "a": 2}', True),
        (b'{"a": "\\ud800"}', True),
        (b'{"a": 1', False),
        (b"\xff\xfe", False),
        (b"", False),
    ],
    ids=["deep", "huge number", "no numbers", "twice the same key", "half a character", "cut off", "no text", "nothing"],
)
def test_excessive_parameters(out: Outside, parameters: bytes, fine: bool) -> None:
    """They are read in the cell, in the process of the block: what cannot be read gives the default, in bounded time and memory."""
    source = "def run(rows, parameters):\n  return [1.0, 2.0, 3.0]\n"
    found = results(Arena("bwrap", False, out.world), source, parameters)
    assert found == [struct.pack("<3d", 1, 2, 3) if fine else None] * 2


def test_numbers_in_json_are_read_as_they_are_written(out: Outside) -> None:
    source = "def run(rows, parameters):\n  return [parameters['a'], len(parameters), 0]\n"
    found = results(Arena("bwrap", False, out.world), source, json.dumps({"a": 0.1}).encode())
    assert found == [struct.pack("<3d", 0.1, 1, 0)] * 2
