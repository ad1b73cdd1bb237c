"""Plane and sequence of a slice: what its file says, and where that says nothing, what the picture shows."""

import torch

from core import compute
from core.bundles import Bundle
from core.defence.examination import Acquired, Examination
from core.models.acquisition import PLANES, SEQUENCES
from core.scans import Scan


def acquisition_of(exam: Examination, scan: Scan, bundle: Bundle) -> tuple[Acquired | None, Acquired | None]:
    """Plane and sequence of an examined frame, each None where neither the file nor the picture tells.

    A bundle without a network of its own for it (`Bundle.acquisition`) goes by the file alone, and so does what is
    refused already: it may be no MR at all.
    """
    plane, sequence = (Acquired(name, "tags") if name else None for name in (scan.plane, scan.sequence))
    if exam.refused or bundle.acquisition is None or (plane and sequence):
        return plane, sequence
    pixels = torch.from_numpy(exam.pixels).unsqueeze(0).to(compute.device())
    planes, sequences = (logits[0].softmax(0).tolist() for logits in bundle.acquisition(pixels))
    least = bundle.facts["acquisition"]["least"]
    return (
        plane or _likeliest(planes, PLANES, least["plane"]),
        sequence or _likeliest(sequences, SEQUENCES, least["sequence"]),
    )


def _likeliest(probabilities: list[float], names: tuple[str, ...], least: float) -> Acquired | None:
    highest = max(probabilities)
    # A comparison with NaN is false: damaged memory names nothing.
    return Acquired(names[probabilities.index(highest)], "picture", highest) if highest >= least else None
