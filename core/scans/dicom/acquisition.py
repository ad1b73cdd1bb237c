"""How an MR image was acquired, from its tags: the plane, and how its tissues are weighted.

T1 weighting needs a short repetition time (TR) and a short echo time (TE), T2 weighting long ones, proton density a
long TR and a short TE (Bitar et al., RadioGraphics 26 (2006) 513-537); FLAIR nulls water by an inversion time (TI) of
about 0.7 of its T1 (De Coene et al., AJNR 13 (1992) 1555-1564). The limits below are wide enough for scanners of 1.5
and 3 T, and what lies between them has no name here. Free texts (series description, protocol) are not read: everybody
writes them differently, and names stand in them.
"""

from __future__ import annotations

import re

import numpy as np
from pydicom.dataset import Dataset

from core.scans.dicom.attributes import DAMAGED, finite_number, finite_numbers, group_item
from core.scans.dicom.tags import coded

SEQUENCES = (
    "FLAIR", "T1", "T1 with contrast", "T2", "proton density", "T2*", "STIR", "diffusion", "perfusion", "angiography",
    "echo planar",
)  # fmt: skip

# Acquisition Contrast (0008,9209) of enhanced MR, PS3.3 C.8.13.3.1.1.
_CONTRASTS = {
    "DIFFUSION": "diffusion", "FLOW_ENCODED": "angiography", "FLUID_ATTENUATED": "FLAIR", "PERFUSION": "perfusion",
    "PROTON_DENSITY": "proton density", "STIR": "STIR", "T1": "T1", "T2": "T2", "T2_STAR": "T2*", "TOF": "angiography",
}  # fmt: skip
# Sequence Name (0018,0024) as one vendor's scanners write it: ep_b1000, swi3d1r, tof_3d, spcir (an inverted SPACE).
_NAMES = ((r"ep_b\d", "diffusion"), (r"swi", "T2*"), (r"tof", "angiography"), (r"spcir", "FLAIR"))
_NO_AGENT = re.compile(r"|no|none|n|0|without|w/?o|nil|na|n/a", re.IGNORECASE)


def normal_of(ds: Dataset, index: int) -> np.ndarray | None:
    """The unit normal of a frame, from Image Orientation (Patient); None where that is missing or no orientation."""
    directions = directions_of(ds, index)
    return directions[0] if directions else None


def directions_of(ds: Dataset, index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """A frame's unit normal, and where its rows and columns run to, in the patient's axes; None as in `normal_of`."""
    axes = finite_numbers(group_item(ds, index, "PlaneOrientationSequence") or ds, "ImageOrientationPatient")
    if len(axes) != 6:
        return None
    # The first three cosines are those of a row, along which the columns follow one another (PS3.3 C.7.6.2.1.1).
    across, down = np.array(axes[:3]), np.array(axes[3:])
    normal = np.cross(across, down)
    length = float(np.linalg.norm(normal))
    return (normal / length, down, across) if np.isfinite(length) and length > 0.5 else None


def sequence_of(ds: Dataset, index: int = 0) -> str | None:
    """One of `SEQUENCES`, of a frame; None for other modalities, and where the tags don't tell."""
    if coded(ds, "Modality") != "MR":
        return None
    try:
        name = _stated(ds, index) or _named(ds) or _timed(ds, index)
        return "T1 with contrast" if name == "T1" and _has_agent(ds) else name
    except DAMAGED:
        # A damaged value is not worth losing the scan for.
        return None


def _stated(ds: Dataset, index: int) -> str | None:
    """What an enhanced image says outright, of all frames or of this one."""
    frame = group_item(ds, index, "MRImageFrameTypeSequence") or ds
    stated = frame.get("AcquisitionContrast") or ds.get("AcquisitionContrast")
    value = finite_number(group_item(ds, index, "MRDiffusionSequence") or ds, "DiffusionBValue")
    if value:
        return "diffusion"
    if str(ds.get("AngioFlag") or "").strip().upper() == "Y":
        return "angiography"
    return _CONTRASTS.get(str(stated or "").strip().upper())


def _named(ds: Dataset) -> str | None:
    text = str(ds.get("SequenceName") or "").lower()
    return next((name for pattern, name in _NAMES if re.search(pattern, text)), None)


def _timed(ds: Dataset, index: int) -> str | None:
    """What follows from how the echo was made and the three times, in milliseconds."""
    kinds, repetition, echo, inversion = _kinds(ds), *_times(ds, index)
    if repetition is None or echo is None:
        return None
    if inversion and inversion > 50:
        return _inverted(repetition, echo, inversion)
    if "IR" in kinds:
        return None
    if "EP" in kinds:
        return "echo planar"
    if "SE" in kinds:
        return _spin_echo(repetition, echo)
    return _gradient_echo(repetition, echo) if "GR" in kinds else None


def _inverted(repetition: float, echo: float, inversion: float) -> str | None:
    if inversion <= 300:
        return "STIR"
    if inversion >= 1400 and echo >= 60 and repetition >= 4000:
        return "FLAIR"
    # MPRAGE and T1 FLAIR: the echo comes early, whatever the inversion does.
    return "T1" if echo <= 40 and 400 <= inversion <= 1400 else None


def _spin_echo(repetition: float, echo: float) -> str | None:
    if repetition <= 1000:
        return "T1" if echo <= 40 else None
    if repetition < 1800:
        return None
    return "T2" if echo >= 70 else "proton density" if echo <= 40 else None


def _gradient_echo(repetition: float, echo: float) -> str | None:
    if echo >= 15:
        return "T2*"
    return "T1" if repetition <= 500 and echo <= 10 else None


def _kinds(ds: Dataset) -> set[str]:
    """Scanning Sequence (0018,0020), or what stands for it in enhanced MR: Echo Pulse Sequence (0018,9008)."""
    value = ds.get("ScanningSequence") or []
    kinds = {value} if isinstance(value, str) else set(value)
    pulse = {"SPIN": {"SE"}, "GRADIENT": {"GR"}, "BOTH": {"SE", "GR"}}
    planar = {"EP"} if ds.get("EchoPlanarPulseSequence") == "YES" else set()
    inverted = {"IR"} if ds.get("InversionRecovery") == "YES" else set()
    return kinds | pulse.get(str(ds.get("EchoPulseSequence")), set()) | planar | inverted


def _times(ds: Dataset, index: int) -> tuple[float | None, float | None, float | None]:
    """Repetition, echo and inversion time in milliseconds, of a frame."""
    timing = group_item(ds, index, "MRTimingAndRelatedParametersSequence")
    inversions = finite_numbers(group_item(ds, index, "MRModifierSequence"), "InversionTimes")
    return (
        finite_number(timing or ds, "RepetitionTime"),
        finite_number(group_item(ds, index, "MREchoSequence"), "EffectiveEchoTime") or finite_number(ds, "EchoTime"),
        inversions[0] if inversions else finite_number(ds, "InversionTime"),
    )


def _has_agent(ds: Dataset) -> bool:
    """Whether a contrast agent is stated; its name is looked at and never shown."""
    return bool(ds.get("ContrastBolusAgentSequence")) or not _NO_AGENT.fullmatch(
        str(ds.get("ContrastBolusAgent") or "").strip()
    )
