"""Marks: a copy of a product names whom it was delivered to, and a file found in the wrong place can be traced.

`code` is the mathematics, `cells` says what may be moved and by how little, `embed` moves it, `match` finds a file's rows again, `trace` names
whose copy it was, with a bound on naming somebody else. `marks` joins them to products.
"""
