"""What the reviewer’s tour says: data only."""

from pages.shared.tours.places import ACROSS, AUDIT, DETECT, EXAMINE, PURIFY
from pages.shared.tours.tour import ESTIMATE, Step, Tour

REVIEWER = Tour(
    "reviewer",
    "Reviewer",
    ":material/fact_check:",
    "Audit one attacked scan: the evidence, the cure, and its cost.",
    (
        Step(
            "An attacked scan",
            "This copy was attacked with PGD-40 at 8/255, and is marked so. Does the defended answer match "
            "the one before the attack?",
            "decision",
            "whether it was flagged, and which answer is left.",
            attacked=True,
        ),
        Step(
            "The evidence",
            "Every point is a calibration scan. Judge for yourself how well each score tells clean from attacked ones.",
            "evidence",
            "how far the two lie apart, and where the threshold cuts.",
            attacked=True,
        ),
        Step(
            "What purification changed",
            "The signed difference, amplified, shows what the estimate lost or gained. Does it touch what the "
            "diagnosis rests on?",
            "purification",
            "where the difference is strongest.",
            attacked=True,
            sets={ESTIMATE: 10},
        ),
        Step(
            "What the detector costs",
            "One scan proves little: these are the thresholds on all recorded scans. Move one to see what a "
            "stricter detector would catch. ‘ROC’ shows how well each score separates, ‘Benign changes’ "
            "whether a moving patient is taken for an attack.",
            "price",
            "which share is flagged in vain, and which is missed.",
            attacked=None,
            page=DETECT,
            asks={"section": "thresholds"},
        ),
        Step(
            "A report to keep",
            "Start the audit of the sample cohort: every scan is purified with five seeds, and what changed "
            "comes first. ‘Report’ above the table then gives all of it as one page to print.",
            "cohort",
            "which scan comes first once it runs, and why.",
            attacked=None,
            page=AUDIT,
        ),
    ),
    {
        PURIFY: "Compare the purifiers on this scan",
        ACROSS: "See whether the defence carries over to other kinds of scans",
        EXAMINE: "Examine a scan of your own",
    },
)
