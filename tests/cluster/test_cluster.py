"""Three machines, one of which is killed under load: every job is answered, once, for one charge, and the audit is clean. `make cluster` goes
on: machines that come back, cables that are pulled, the head."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.campaign import cluster, node_is_killed, strangers_are_kept_out
from tests.cluster.network import CannotHere


def test_strangers_are_kept_out_and_jobs_outlive_a_node(tmp_path: Path) -> None:
    try:
        with cluster(tmp_path) as made:
            made.whole()
            strangers_are_kept_out(made)
            made.ask("load")
            made.goes_on(2)
            node_is_killed(made, 2, back=False)
            assert made.rest()["asked"] >= 10
    except CannotHere as error:
        pytest.fail(str(error))
