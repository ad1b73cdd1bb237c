"""What the educator’s tour says: data only."""

from pages.shared.tours.places import ATTACK, EXPERTS, FAULTS, PURIFY
from pages.shared.tours.tour import CHANGE, ESTIMATE, Step, Tour

EDUCATOR = Tour(
    "educator",
    "Educator",
    ":material/school:",
    "Break the classifier in front of the class, and watch the defence.",
    (
        Step(
            "The honest answer",
            "Read the decision out, and ask the class: could a change of 8/255 a pixel, hardly visible, turn it round?",
            "decision",
            "the answer, and how sure the classifier is.",
        ),
        Step(
            "The same scan, attacked",
            "PGD-40 has just changed every pixel by at most 8/255, and the card on top shows what became of "
            "the answer. The third picture here is what was added, amplified for the back row.",
            "attack",
            "how alike the first two are, and where the third has something.",
            attacked=True,
            sets={CHANGE: 20},
        ),
        Step(
            "What the defence did",
            "Noise over everything, then a diffusion model draws what is likely. What that changed is amplified, too.",
            "purification",
            "what the estimate lost of the scan itself.",
            attacked=True,
            sets={ESTIMATE: 10},
        ),
        Step(
            "Ask several experts",
            "Here a gate weighs several networks for each scan, and all of them are attacked together now. "
            "Then let the class switch experts off until the answer stands.",
            "experts",
            "whose bar grows, and who changes sides.",
            page=EXPERTS,
            asks={"section": ""},
            press="experts-attack",
        ),
        Step(
            "Now break it live",
            "PGD runs with ε = 1/255 to begin with. Let the class choose another budget: what is the smallest "
            "one that still turns the answer round? The class view (at the top) shows one picture and one "
            "number, large; the arrow keys step.",
            "budget",
            "whether the answer has turned.",
            attacked=None,
            page=ATTACK,
            asks={"attack": "pgd", "eps": "1", "step": "40"},
        ),
    ),
    {PURIFY: "Watch the scan being purified", FAULTS: "Break the network’s memory instead"},
)
