"""OpenDP, as far as this room uses it.

`opendp.prelude` also imports scikit-learn, scipy, pandas and polars wherever they are installed, as they are here for programs: more than a
second and a hundred megabytes that nothing in the server uses.
"""

from __future__ import annotations

import opendp.combinators as c
import opendp.measurements as m
import opendp.transformations as t
from opendp.core import new_function
from opendp.domains import atom_domain, map_domain, user_domain, vector_domain
from opendp.measures import approximate, max_divergence, zero_concentrated_divergence
from opendp.metrics import absolute_distance, l02inf_distance, l1_distance, l2_distance, linf_distance, user_distance
from opendp.mod import OpenDPException, enable_features

__all__ = [
    "OpenDPException",
    "absolute_distance",
    "approximate",
    "atom_domain",
    "c",
    "enable_features",
    "l02inf_distance",
    "l1_distance",
    "l2_distance",
    "linf_distance",
    "m",
    "map_domain",
    "max_divergence",
    "new_function",
    "t",
    "user_distance",
    "user_domain",
    "vector_domain",
    "zero_concentrated_divergence",
]
