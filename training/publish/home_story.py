"""Record what Home shows: a scan, the same scan while it is attacked, and what purification makes of it.

    python -m training.publish.home_story

Pictures and figures come from one run of attack and pipeline on a sample; whoever changes a weight file runs it again.
"""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.attacks import AttackSettings, attack_pixels, attackable_pixels, attacked_scan
from core.bundles import Bundle, load_bundle
from core.defence.examination import Examination
from core.defence.pipeline import examine
from core.evaluation.evaluation import weights_record
from core.scans import Sample, load_scan, sample_scans
from training.files import write_json
from training.options import command_options

STORY = Path(__file__).resolve().parents[2] / "assets" / "home" / "story.json"
COMMAND = "python -m training.publish.home_story"
ATTACK = AttackSettings("pgd", eps=8, steps=40)
SHOWN_STEPS = (0, 1, 2, 4, 8, 16, 39)


def main() -> None:
    command_options(__doc__).parse_args()
    write_json(STORY, story(load_bundle()))


def story(bundle: Bundle) -> dict[str, Any]:
    """Return what story.json holds: of the first sample, real ones first, that is fooled, flagged and brought back.

    And how many samples the attack fooled, and how many of them the defence brought back.
    """
    fooled, brought_back = 0, []
    for sample in sample_scans(bundle.name):
        scan = load_scan(sample.path)
        before = examine(scan, bundle)
        if before.label is None:
            continue
        attacked, last = attacked_frames(attackable_pixels(scan, bundle), bundle)
        after = examine(attacked_scan(scan, last, bundle, ATTACK, ATTACK.steps), bundle)
        fooled += after.undefended.label != before.label
        if after.purification and after.label == before.label != after.undefended.label:
            brought_back.append(told(sample, before, attacked, after))
    assert brought_back, "There is no sample that the attack fools and the defence brings back."
    return {
        "command": COMMAND,
        "weights_sha256": weights_record(bundle, bundle.default_classifier),
        "fooled": fooled,
        "brought_back": len(brought_back),
        **brought_back[0],
    }


def told(sample: Sample, before: Examination, attacked: list[dict], after: Examination) -> dict[str, Any]:
    """Return the three stages, each of frames with a picture and the answer to it, and what was done."""
    assert after.purification and after.prediction and before.undefended
    noisy = [frame(step.noisy, None) for step in after.purification.steps]
    return {
        "sample": sample.key,
        "title": sample.title,
        "source": sample.description,
        "attack": {"method": ATTACK.method, "eps": ATTACK.eps, "steps": ATTACK.steps},
        "t_star": after.purification.t_star,
        "scan": [frame(before.pixels, before.undefended.probabilities)],
        "attacked": attacked,
        "purified": [*noisy, frame(after.purification.estimate, after.prediction.probabilities)],
    }


def attacked_frames(pixels: Tensor, bundle: Bundle) -> tuple[list[dict[str, Any]], Tensor]:
    """Return the frames of the attack's steps in `SHOWN_STEPS`, and the (1, C, H, W) pixels after the last step."""
    network, frames = bundle.classifiers[bundle.default_classifier], []
    for step in attack_pixels(pixels, bundle, ATTACK):
        if step.index in SHOWN_STEPS:
            with torch.no_grad():
                shares = network(step.attacked).float().softmax(1)[0].tolist()
            known = frame(step.attacked[0].cpu().numpy(), dict(zip(bundle.classes, shares)))
            frames.append(known | {"step": step.index + 1})
    return frames, step.attacked


def frame(pixels: np.ndarray, answer: Mapping[str, float] | None) -> dict[str, Any]:
    """Return one picture of (1, H, W) pixels in [0, 1], as base64 of a PNG, and the answer to it where it has one."""
    stream = io.BytesIO()
    Image.fromarray((255 * pixels[0].clip(0, 1)).round().astype(np.uint8)).save(stream, "PNG", optimize=True)
    known = {"answer": {name: round(share, 4) for name, share in answer.items()}} if answer else {}
    return {"png": base64.b64encode(stream.getvalue()).decode()} | known


if __name__ == "__main__":
    main()
