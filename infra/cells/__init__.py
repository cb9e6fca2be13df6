"""Cells: where operators' programs run. One job, one cell; one block of rows in, one frame of float64 out, and nothing else.

base        the interface: what goes in, what comes out, what a backend finds out about itself
syscalls    the one table of system calls, by stage; `bpf` makes seccomp filters of it, and Docker's JSON
zygote      the program inside: libraries loaded once, a fresh process for every block
bwrap       a cell of bubblewrap; `docker` one of Docker; `unsafe` none at all, for synthetic rows
probe       attacks that a backend carries out against itself before it is trusted with rows
"""
