"""The tags that may be shown: a short allow-list of technical ones.

Everything else stays out: an allow-list forgets a useful tag at worst, a deny-list forgets a name.
"""

from __future__ import annotations

import re

from pydicom.dataset import Dataset
from pydicom.uid import UID

from core.scans.markers import derived_kind
from core.scans.text import one_line

# Keyword, label, unit. Coded strings and numbers, and the two free texts that describe a machine.
ALLOWED = (
    ("Modality", "Modality", ""),
    ("Manufacturer", "Manufacturer", ""),
    ("ManufacturerModelName", "Model", ""),
    ("BodyPartExamined", "Body part", ""),
    ("MagneticFieldStrength", "Field strength", "T"),
    ("ScanningSequence", "Scanning sequence", ""),
    ("SequenceVariant", "Sequence variant", ""),
    ("SequenceName", "Sequence name", ""),
    ("MRAcquisitionType", "Acquisition type", ""),
    ("RepetitionTime", "Repetition time", "ms"),
    ("EchoTime", "Echo time", "ms"),
    ("InversionTime", "Inversion time", "ms"),
    ("FlipAngle", "Flip angle", "°"),
    ("EchoTrainLength", "Echo train length", ""),
    ("KVP", "Tube voltage", "kV"),
    ("XRayTubeCurrent", "Tube current", "mA"),
    ("ExposureTime", "Exposure time", "ms"),
    ("SliceThickness", "Slice thickness", "mm"),
    ("SpacingBetweenSlices", "Spacing between slices", "mm"),
    ("PixelSpacing", "Pixel spacing", "mm"),
    ("ImagerPixelSpacing", "Imager pixel spacing", "mm"),
    ("Rows", "Rows", ""),
    ("Columns", "Columns", ""),
    ("NumberOfFrames", "Frames", ""),
    ("PhotometricInterpretation", "Photometric interpretation", ""),
    ("SamplesPerPixel", "Samples per pixel", ""),
    ("BitsAllocated", "Bits allocated", ""),
    ("BitsStored", "Bits stored", ""),
    ("PixelRepresentation", "Pixel representation", ""),
    ("ImageType", "Image type", ""),
    ("LossyImageCompression", "Lossy compression", ""),
    ("BurnedInAnnotation", "Burned-in annotation", ""),
)

_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")
# Coded strings are A to Z, digits, space and underscore (PS3.5 6.2): anything else there is free text in disguise.
_CODED = {
    "Modality", "BodyPartExamined", "ScanningSequence", "SequenceVariant", "MRAcquisitionType", "ImageType",
    "PhotometricInterpretation", "LossyImageCompression", "BurnedInAnnotation",
}  # fmt: skip
_IDENTIFYING = (
    "PatientName", "PatientID", "OtherPatientNames", "OtherPatientIDs", "PatientBirthName", "AccessionNumber",
    "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName", "InstitutionName", "StationName",
)  # fmt: skip
_WORD = re.compile(r"[^\W_]{3,}")
_TEXTS = {"Manufacturer", "ManufacturerModelName", "SequenceName"}


def displayed_tags(ds: Dataset, transfer_syntax: UID | None) -> dict[str, str]:
    """Return the allowed tags of `ds`, as label and text.

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
        The data set; the functional groups of an enhanced image are not searched.
    transfer_syntax : pydicom.uid.UID or None
        Shown by its name.

    Returns
    -------
    dict of str
        Labels in the order of `ALLOWED`, each value one short line.
    """
    shown = {}
    # The patient of a derived file is 'SYNTHETIC^PURESCAN', whose words the technical tags of such a file repeat.
    private = frozenset() if derived_kind(ds) else identifying_words(ds)
    for keyword, label, unit in ALLOWED:
        text = _safe_text(ds, keyword)
        if text and not mentions(text, private):
            shown[label] = f"{text} {unit}".rstrip()
    if transfer_syntax is not None and not transfer_syntax.is_private:
        shown["Transfer syntax"] = one_line(transfer_syntax.name)
    return shown


def identifying_words(ds: Dataset) -> frozenset[str]:
    """Return the words, of three letters or more, that stand in the identifying attributes of `ds`."""
    values = (str(ds.get(keyword) or "") for keyword in _IDENTIFYING)
    return frozenset(word for value in values for word in _WORD.findall(value.lower()))


def mentions(text: str, private: frozenset[str]) -> bool:
    """Tell whether `text` holds one of the `private` words: somebody may have put a name into a technical tag."""
    return not private.isdisjoint(_WORD.findall(text.lower()))


def coded(ds: Dataset, keyword: str) -> str | None:
    """Return the coded string `keyword` of `ds`, or None where it is absent or no coded string (PS3.5 6.2)."""
    value = ds.get(keyword)
    if not isinstance(value, str):
        return None
    value = value.strip()
    return value if _CODE.fullmatch(value) else None


def _safe_text(ds: Dataset, keyword: str) -> str:
    try:
        return _text(ds, keyword)
    except (TypeError, ValueError):
        # A damaged value is not worth losing the scan for.
        return ""


def _text(ds: Dataset, keyword: str) -> str:
    value = ds.get(keyword)
    if value is None:
        return ""
    parts = [value] if isinstance(value, (str, int, float)) else list(value)
    return one_line(" \\ ".join(filter(None, (_part(keyword, part) for part in parts[:8]))))


def _part(keyword: str, part: object) -> str:
    if keyword in _CODED:
        text = str(part).strip()
        return text if _CODE.fullmatch(text) else ""
    if keyword in _TEXTS:
        return one_line(part, 40)
    return f"{float(part):g}"  # type: ignore[arg-type]
