"""Workers: processes that stay warm and call plain functions, through Ray or in this process.

    errors       what they fail with, and on which terms a stream of items is run
    inline       the interface in this process
    pool         the interface on Ray: actors, and what goes on when Ray goes away
    runs         which worker runs which item, and where again
    actor        Ray's side of one worker: hands calls on to
    warden       … which holds one process to its limits from outside
    child        … and that process, which knows nothing of Ray
    environment  what Ray is told, and the folders it writes into

Only `pool` and `actor` know Ray.
"""

from infra.workers.environment import inherited
from infra.workers.errors import ANYWHERE, Terms, WorkersError
from infra.workers.inline import InlineWorkers
from infra.workers.pool import Workers

__all__ = ["ANYWHERE", "InlineWorkers", "Terms", "Workers", "WorkersError", "inherited"]
