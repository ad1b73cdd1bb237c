"""The tags that may be shown: a short allow-list of technical ones.

Everything else stays out: an allow-list forgets a useful tag at worst, a deny-list forgets a name. No attribute of
PS3.15, Table E.1-1 (`confidential`) is on it, and what is on it is not shown where it repeats a word of one of these.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from core.scans.dicom.attributes import DAMAGED, value_of
from core.scans.dicom.confidential import is_confidential
from core.scans.markers import derived_kind
from core.scans.text import one_line

BURNED_IN = "Burned-in annotation"
# Keyword, label, unit. Coded strings and numbers, and `TEXTS`.
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
    ("BurnedInAnnotation", BURNED_IN, ""),
)

_CODE = re.compile(r"[A-Z0-9_ ]{1,16}")
# Coded strings are A to Z, digits, space and underscore (PS3.5 6.2): anything else there is free text in disguise.
_CODED = {
    "Modality", "BodyPartExamined", "ScanningSequence", "SequenceVariant", "MRAcquisitionType", "ImageType",
    "PhotometricInterpretation", "LossyImageCompression", "BurnedInAnnotation",
}  # fmt: skip
# More than any name has.
_DAMAGED_BYTES = 4096
_WORD = re.compile(r"[^\W_]{3,}")
# Free texts all the same, as nothing else says which machine made the scan, and how.
TEXTS = {"Manufacturer", "ManufacturerModelName", "SequenceName"}
# Kinds of values (PS3.5 6.2) that name somebody, or the day. Others are numbers, UIDs, times and codes: their parts are
# words of three signs too, and would take 'Rows 512' away for a time that ends in .512.
_NAMING = {"AE", "DA", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"}
# What such attributes hold are medical words as a rule: 'BRAIN' in a description says nothing against Body Part.
_DESCRIBES = re.compile(
    r"Description|Comment|Procedure|Protocol|Diagnos|Reason|History|Text|Contrast|Label|Title|Notes"
)


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
    ours = derived_kind(ds) is not None
    names = frozenset() if ours else identifying_words(ds, described=False)
    private = frozenset() if ours else identifying_words(ds)
    for keyword, label, unit in ALLOWED:
        text = _safe_text(ds, keyword)
        if text and not mentions(text, private if keyword in TEXTS else names):
            shown[label] = f"{text} {unit}".rstrip()
    if transfer_syntax is not None and not transfer_syntax.is_private:
        shown["Transfer syntax"] = one_line(transfer_syntax.name)
    return shown


def identifying_words(ds: Dataset, described: bool = True) -> frozenset[str]:
    """Return the words, of three letters or more, that stand in the confidential standard attributes of `ds`.

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
        The data set; of its sequences those that are confidential are searched.
    described : bool
        Whether attributes count that describe rather than name.
    """
    # Private attributes repeat the machine's make, model and sequence, the names of their blocks first of all.
    tags = (tag for tag in ds.keys() if is_confidential(tag) and not tag.is_private)
    texts = (text for tag in tags for text in _texts_of(ds, tag, described))
    return frozenset(word for text in texts for word in _WORD.findall(text.lower()))


def _texts_of(ds: Dataset, tag: BaseTag, described: bool) -> Iterator[str]:
    """Yield the texts of one attribute, and of all that lies below it."""
    if not described and _DESCRIBES.search(keyword_for_tag(tag)):
        return
    try:
        element = ds[tag]
    except DAMAGED:
        # A damaged value is not worth losing the scan for, and its bytes may still spell a name.
        raw = ds.get_item(tag, keep_deferred=True)
        if raw is not None and isinstance(raw.value, bytes):
            yield raw.value[:_DAMAGED_BYTES].decode("latin-1")
        return
    if element.VR == "SQ":
        for item in element.value:
            for below in item.keys():
                yield from _texts_of(item, below, described)
    elif element.VR in _NAMING:
        yield str(element.value)
    elif element.VR == "UN" and not tag.is_private and isinstance(element.value, bytes):
        # What is too new for the dictionary, where the file does not say what kind of value it has.
        yield element.value[:_DAMAGED_BYTES].decode("latin-1")


def mentions(text: str, private: frozenset[str]) -> bool:
    """Tell whether `text` holds one of the `private` words: somebody may have put a name into a technical tag."""
    return not private.isdisjoint(_WORD.findall(text.lower()))


def coded(ds: Dataset, keyword: str) -> str | None:
    """Return the coded string `keyword` of `ds`, or None where it is absent or no coded string (PS3.5 6.2)."""
    value = value_of(ds, keyword)
    if not isinstance(value, str):
        return None
    value = value.strip()
    return value if _CODE.fullmatch(value) else None


def _safe_text(ds: Dataset, keyword: str) -> str:
    try:
        return _text(ds, keyword)
    except DAMAGED:
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
    if keyword in TEXTS:
        return one_line(part, 40)
    return f"{float(part):g}"  # type: ignore[arg-type]


def burned_in_notes(ds: Dataset) -> list[str]:
    """What Burned In Annotation (0028,0301) leaves to say of text in the pixels."""
    stated = coded(ds, "BurnedInAnnotation")
    if stated == "NO":
        return []
    if stated == "YES":
        return ["The file says that text is burned into its pixels, which may identify the patient; it is still there."]
    return ["The file does not say whether text is burned into its pixels: look before you share the picture."]
