"""Reading the process's own memory, all of it that can be found, without the map of it that /proc would give."""

from __future__ import annotations

import ctypes
from typing import Any

from probes.calls import MINE, libc

PAGE = 4096
SIG_BLOCK = 0
RT_SIGPROCMASK = (14, 135)[MINE]
FAR = 1 << 12  # pages in a row without memory, after which it is another region


def search(world: dict[str, Any]) -> str | None:
    """Where `prefix`, followed at once by `suffix`, lies: around objects, the C library's data and the heap's end."""
    libc.syscall.restype = ctypes.c_long
    libc.sbrk.restype = ctypes.c_void_p
    prefix, suffix = world["prefix"].encode(), world["suffix"].encode()
    kept = [bytearray(10), bytearray(1 << 22), world]
    starts = [id(each) for each in kept] + [int(libc.sbrk(0) or 0) - PAGE, ctypes.addressof(ctypes.c_char.from_buffer(kept[1]))]
    seen: set[int] = set()
    for start in starts:
        for step in (PAGE, -PAGE):
            page, missing = start // PAGE * PAGE, 0
            while missing < FAR and 0 < page < 1 << 47 and len(seen) < 1 << 17:
                if page in seen:
                    missing = 0
                elif _mapped(page):
                    missing = 0
                    seen.add(page)
                    if prefix in (content := ctypes.string_at(page, PAGE)) and prefix + suffix in content:
                        return f"at {page:x}, {len(seen)} pages read"
                else:
                    missing += 1
                page += step
    return None


def _mapped(page: int) -> bool:
    """rt_sigprocmask(2) by number, which every stage has: EFAULT where there is nothing to read."""
    ctypes.set_errno(0)
    return libc.syscall(ctypes.c_long(RT_SIGPROCMASK), ctypes.c_long(SIG_BLOCK), ctypes.c_void_p(page), None, ctypes.c_long(8)) == 0
