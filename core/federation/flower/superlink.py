"""The server's processes: Flower's SuperLink, and the coordinator that does the work of its run.

python -m core.federation.flower.superlink link OPTIONS… | coordinate FOLDER
"""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

from core.federation.coordinator import Coordinator, Round, read_start
from core.federation.flower.processes import end_with_parent, quiet_flower
from core.federation.plan import Plan
from core.federation.report import write_report

FAILED = 3
"""Exit status of a coordinator whose federation can't go on; any other but 0 is an accident, after which it may."""

TASK = "task.json"


def link(options: list[str]) -> None:
    """Be Flower's SuperLink with these options."""
    from flwr.superlink.cli import flower_superlink

    sys.argv = ["flower-superlink", *options]
    flower_superlink()


def coordinate(folder: Path) -> None:
    """Hold the rounds that are left of the federation that `folder`'s task describes; each goes to standard output."""
    from core.federation.flower.server import server_app
    from core.federation.flower.tasks import run_server_app

    task = json.loads((folder / TASK).read_text(encoding="utf-8"))
    out = Path(task["out"])
    try:
        plan = Plan(**task["plan"])
        coordinator = Coordinator(plan, read_start(plan, Path(task["start"])) if task["start"] else {}, out)

        def told(held: Round) -> None:
            write_report(out, coordinator.report())
            print(json.dumps(asdict(held)), flush=True)

        # Before the first round too: a federation goes on under the name that its report has.
        write_report(out, coordinator.report())
        app = server_app(coordinator, task["expected"], told)
        secret = (folder / "secret").read_bytes()
        run_server_app(task["address"], Path(task["certificates"]), secret, app, task["run"])
    except ValueError as error:
        print(json.dumps({"failed": str(error)}), flush=True)
        os._exit(FAILED)
    os._exit(0)


if __name__ == "__main__":
    end_with_parent()
    quiet_flower(Path(os.environ["FLWR_HOME"]))
    if sys.argv[1] == "link":
        link(sys.argv[2:])
    else:
        coordinate(Path(sys.argv[2]))
