"""`make demo`: the whole idea, at work on real data, in under a minute."""

from __future__ import annotations

from api.demo.stage import Stage
from api.demo.story import tell
from yunei.config import language_from
from yunei.words import say


def main() -> None:
    say.language = language_from()
    stage = Stage()
    stage.console.print()
    stage.console.print(
        say("域内 yunei：原始数据不出域，数据可用不可见", "yunei 域内: compute beside public data; only what may leave, leaves"), style="bold"
    )
    tell(stage)


if __name__ == "__main__":
    main()
