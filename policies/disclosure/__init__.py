"""What an exact table would disclose, and what to do about it: rule packs as data, checks that run them, suppression proved by its audit,
and a memory of everything released before.

Pure: tables come in, findings and tables go out; nothing here reads a row, a file of the home or a clock. `table` is what the rest speaks.
"""
