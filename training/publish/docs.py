"""Write docs/results, and the figures in README, docs/federation.md and the bundle cards; nothing is measured.

python -m training.publish.docs
"""

from collections.abc import Sequence
from pathlib import Path

from core.bundles import WEIGHTS, Bundle, load_bundle
from core.bundles.loading import shipped_names
from training.measure.membership import membership_lines
from training.options import command_options
from training.privacy.inversion import inversion_lines
from training.publish.detection import detection_page
from training.publish.encryption import encryption_page
from training.publish.faults import faults_page
from training.publish.gate_plot import draw_gates, gate_plot
from training.publish.headlines import card_table, readme_table
from training.publish.markdown import between_marks, marks
from training.publish.mixtures import gate_records, mixtures_page
from training.publish.purification import purification_page
from training.publish.sites import sites_page
from training.publish.timing import timing_page
from training.publish.white_box import white_box_page
from training.tasks import BRAIN_MRI

ROOT = WEIGHTS.parent
SUBJECTS = {
    "sites": sites_page,
    "detection": detection_page,
    "white-box": white_box_page,
    "purification": purification_page,
    "mixtures": mixtures_page,
    "faults": faults_page,
    "encryption": encryption_page,
    "timing": timing_page,
}


def main() -> None:
    command_options(__doc__).parse_args()
    write_docs()


def write_docs() -> None:
    """Write every page that shows recorded figures, and the plots in them; a user's own bundles are on none.

    SystemExit, one sentence, where a bundle has no card.
    """
    check_cards()
    bundles = [load_bundle(name) for name in shipped_names()]
    for path, text in pages(bundles).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for bundle in bundles:
        if records := gate_records(bundle):
            draw_gates(bundle, records, gate_plot(bundle))


def check_cards() -> None:
    """SystemExit, one sentence, where a bundle has no card, or the card no place for figures."""
    for name in shipped_names():
        card = WEIGHTS / name / "CARD.md"
        marked = card.read_text(encoding="utf-8") if card.is_file() else ""
        if not all(mark in marked for mark in marks("figures")):
            begin, end = marks("figures")
            raise SystemExit(
                f"weights/{name}/CARD.md is missing or has no place for figures, {begin} and {end}; write it first, as "
                "docs/adding-a-bundle.md says."
            )


def pages(bundles: Sequence[Bundle]) -> dict[Path, str]:
    """Return path → text of every page that shows recorded figures."""
    texts = {ROOT / "docs" / "results" / f"{subject}.md": page(bundles) for subject, page in SUBJECTS.items()}
    for bundle in bundles:
        card = bundle.folder / "CARD.md"
        texts[card] = between_marks(card, "figures", card_table(bundle))
    shown = next(bundle for bundle in bundles if bundle.name == BRAIN_MRI["name"])
    texts[ROOT / "README.md"] = between_marks(ROOT / "README.md", "figures", readme_table(shown))
    page = ROOT / "docs" / "federation.md"
    texts[page] = between_marks(page, "privacy", [*inversion_lines(shown), *membership_lines(shown)])
    return texts


if __name__ == "__main__":
    main()
