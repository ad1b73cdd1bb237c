"""A page to print for each tour, for a class without the screen: docs/handouts.

python -m pages.shared.tours.handout
"""

from __future__ import annotations

from pathlib import Path

from pages.shared.tours.places import PLACES
from pages.shared.tours.steps import TOURS
from pages.shared.tours.tour import Tour

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "handouts"
NOTES = "What we saw: ______________________________________________________________"
LINES = (
    "Purescan is not a medical device. It shows how image classifiers are attacked and defended; no answer it gives "
    "may guide the care of a patient.",
    "Start the program with `make run`, choose this tour on Home, and follow the card; it rings what it speaks of.",
)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for tour in TOURS.values():
        (FOLDER / f"{tour.key}.md").write_text(handout(tour), encoding="utf-8")


def handout(tour: Tour) -> str:
    """One tour as Markdown: its steps, with room for notes, and what is worth doing next."""
    parts = [f"# {tour.title}’s tour: {tour.promise}", *LINES]
    for number, step in enumerate(tour.steps, 1):
        parts += [f"## {number}. {step.title}", f"{step.text} Look at {PLACES[step.focus].words}: {step.see}", NOTES]
    parts += ["## What next?", "\n".join(f"- {words}." for words in tour.after.values())]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
