"""What the clinician’s tour says: data only."""

from pages.shared.tours.places import AUDIT, DETECT
from pages.shared.tours.tour import Step, Tour

CLINICIAN = Tour(
    "clinician",
    "Clinician",
    ":material/stethoscope:",
    "One scan, one decision, and what it rests on.",
    (
        Step(
            "A scan has come in",
            "This slice is a sample; the sidebar says where it comes from. The card holds the one decision.",
            "decision",
            "which answer, how sure the classifier is, and whether the scan looks manipulated.",
        ),
        Step(
            "What speaks for it",
            "Each score compares this scan with clean scans that the thresholds were made from. Right of the dashed "
            "line, attention variation or added signal say that the pixels were altered; decision instability says "
            "that the answer hangs on it, and flags the scan.",
            "evidence",
            "on which side of each dashed line this scan lies.",
        ),
        Step(
            "Where to look twice",
            "The error map lies over the scan now: bright places are those that the network could not predict "
            "from their surroundings. It may be the lesion, it may be a manipulation.",
            "picture",
            "where it is brightest.",
            sets={"overlay": "Error map"},
        ),
        Step(
            "The same scan, manipulated",
            "Every pixel has just been changed by at most 8/255, which nobody sees.",
            "decision",
            "what the classifier made of it, whether that was noticed, and which answer is left.",
            attacked=True,
            sets={"overlay": "Scan"},
        ),
        Step(
            "Now your own",
            "Upload a scan in the sidebar. Another modality, or a picture that is no brain MRI, gets a reason "
            "instead of a label.",
            "decision",
            "what it says of yours.",
        ),
    ),
    {AUDIT: "Examine many scans at once", DETECT: "See how often the detector is right"},
)
