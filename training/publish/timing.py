"""docs/results/timing.md: how long things take; from results.json."""

from collections.abc import Iterable

from core.bundles import Bundle
from training.files import read_results
from training.publish.markdown import command, document, table

ABOUT = "Medians over several runs on one scan, on the machine that recorded them. Another machine gives other figures."


def timing_page(bundles: Iterable[Bundle]) -> str:
    """Return the whole page: a section for each bundle whose times were taken."""
    lines = []
    for bundle in bundles:
        report = read_results(bundle.folder)
        if "timings" in report:
            rows = [[name, value] for name, value in report["timings"].items()]
            lines += [
                f"## {bundle.name}",
                "",
                f"Made by {command(report['command'])} each on one sample scan of the bundle, seed 0.",
                "",
            ]
            lines += table([report["machine"], "median"], rows)
    return document("Timing", ABOUT, lines)
