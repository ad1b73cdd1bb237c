"""Attacked, purified and synthetic pixels as files that give back exactly what was written."""

from __future__ import annotations

import io
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from core.scans.dicom.tags import BURNED_IN
from core.scans.geometry import Geometry
from core.scans.markers import KINDS, PNG_KEY, SOFTWARE
from core.scans.scan import Scan

_TOP = 65535


def derived_dicom(
    pixels: np.ndarray,
    *,
    kind: str,
    description: str,
    modality: str = "MR",
    source: Scan | None = None,
    prepared: bool = False,
    extra: dict[str, Any] | None = None,
) -> bytes:
    """Pixels as a DICOM file of 16 bits with an identity window.

    The file is a Secondary Capture Image (PS3.3 A.8.1), which asks for nothing but pixels and where they come from.
    MR Image Storage would oblige us to state an acquisition, a frame of reference and a position in a patient that
    never existed. General Series keeps Modality, so that the scan is still known as what it shows. Secondary Capture
    sets no limit to Bits Allocated, hence colour is RGB of 16 bits a channel (PS3.3 C.8.6.2 allows what C.7.6.3 does).

    Reading gives back ``round(pixels * 65535) / 65535``: window 65536 wide around 32768 maps stored values 0 to 65535
    linearly onto 0 to 1 (PS3.3 C.11.2.1.2.1).

    Parameters
    ----------
    pixels : numpy.ndarray
        (H, W) or (H, W, 3), finite, in [0, 1].
    kind : str
        ``'synthetic'``, ``'attacked'`` or ``'purified'``.
    description : str
        (0008,2111) Derivation Description: what was done to the pixels; cut to 1024 characters.
    modality : str
        (0008,0060) Modality; that of `source` goes before it.
    source : Scan, optional
        The scan that the pixels come from; gives the modality and, where the size is the same, the pixel spacing.
    prepared : bool
        Whether the pixels are a frame of `source` as `core.scans.preparation.prepare` makes it: their spacing then
        follows from that of `source`, whatever its size.
    extra : dict, optional
        More attributes by keyword. Those that describe the pixels cannot be replaced.

    Returns
    -------
    bytes
        The file's content.

    Raises
    ------
    ValueError
        Where `pixels`, `kind` or `extra` is not as described.
    """
    stored = _stored(pixels)
    if kind not in KINDS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}, not {kind!r}.")
    ds = _identity()
    _describe(ds, kind, description, source.modality or modality if source else modality)
    stated = source.tags.get(BURNED_IN) if source else None
    _say_what_may_identify(ds, "NO" if kind == "synthetic" else stated)
    _add_spacing(ds, stored, source, prepared)
    _add_extra(ds, extra or {})
    _add_pixels(ds, stored)
    file = io.BytesIO()
    ds.save_as(file, enforce_file_format=True)
    return file.getvalue()


def write_derived_dicom(path: str | os.PathLike[str], pixels: np.ndarray, **facts: Any) -> Path:
    """Write `derived_dicom` of the same arguments to a file, and return its path."""
    path = Path(path)
    path.write_bytes(derived_dicom(pixels, **facts))
    return path


def _stored(pixels: np.ndarray) -> np.ndarray:
    array = np.asarray(pixels, dtype=np.float64)
    if array.ndim not in (2, 3) or array.ndim == 3 and array.shape[2] != 3 or not array.size:
        raise ValueError(f"pixels are (H, W) or (H, W, 3), not {array.shape}.")
    if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
        raise ValueError("pixels are finite and lie in [0, 1].")
    if max(array.shape[:2]) > _TOP:
        raise ValueError("DICOM holds at most 65535 rows and columns.")
    return np.rint(array * _TOP).astype("<u2")


def _identity() -> Dataset:
    """Start a data set with new identifiers and no patient (PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.12.1)."""
    now = datetime.now()
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(), generate_uid()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.InstanceCreationDate, ds.InstanceCreationTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    ds.PatientName, ds.PatientID = "SYNTHETIC^PURESCAN", "PURESCAN"
    for empty in ("PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "ReferringPhysicianName", "StudyID",
                  "AccessionNumber", "PatientOrientation", "Laterality"):  # fmt: skip
        setattr(ds, empty, "")
    ds.SeriesNumber, ds.InstanceNumber = 1, 1
    return ds


def _describe(ds: Dataset, kind: str, description: str, modality: str) -> None:
    """Say what the image is, in the words that `markers.derived_kind` reads."""
    ds.Modality = modality
    ds.ConversionType = "SYN"
    ds.ImageType = ["DERIVED", "SECONDARY", "OTHER", kind.upper()]
    ds.SeriesDescription = f"Purescan {kind} image"
    ds.DerivationDescription = description[:1024]
    ds.ImageComments = "Not for diagnosis."
    if kind == "synthetic":
        ds.SyntheticData = "YES"
    ds.Manufacturer = ds.SoftwareVersions = SOFTWARE
    equipment = Dataset()
    equipment.Manufacturer = SOFTWARE
    purpose = Dataset()
    # PS3.16 CID 7005, Contributing Equipment Purpose of Reference.
    purpose.CodeValue, purpose.CodingSchemeDesignator, purpose.CodeMeaning = "109103", "DCM", "Modifying Equipment"
    equipment.PurposeOfReferenceCodeSequence = Sequence([purpose])
    ds.ContributingEquipmentSequence = Sequence([equipment])


def _say_what_may_identify(ds: Dataset, burned_in: str | None) -> None:
    """Say of text in the pixels what the source says of it, nothing where it says nothing: it was taken over, if any.

    Patient Identity Removed speaks of pixels, too (PS3.3 C.7.1.1).
    """
    if burned_in in ("YES", "NO"):
        ds.BurnedInAnnotation = burned_in
    if burned_in == "NO":
        ds.PatientIdentityRemoved, ds.DeidentificationMethod = "YES", "Made by software; no patient in it"


def _add_spacing(ds: Dataset, stored: np.ndarray, source: Scan | None, prepared: bool) -> None:
    spacing = source.millimetres if source else None
    if source is None or spacing is None:
        return
    shape, distances = source.values.shape[1:3], spacing[1:]
    if prepared:
        distances = (Geometry.of(shape, spacing).pixel(len(stored), spacing),) * 2
    elif shape != stored.shape[:2]:
        return
    ds.PixelSpacing = [f"{distance:.10g}" for distance in distances]


def _add_pixels(ds: Dataset, stored: np.ndarray) -> None:
    """Fill the Image Pixel module (PS3.3 C.7.6.3) and, for grey, the identity window (C.11.2)."""
    colour = stored.ndim == 3
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    else:
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = 0, 1, "US"
        ds.WindowCenter, ds.WindowWidth, ds.VOILUTFunction = 32768, 65536, "LINEAR"
        ds.WindowCenterWidthExplanation = "Identity"
        ds.PresentationLUTShape = "IDENTITY"
    ds.Rows, ds.Columns = stored.shape[:2]
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = stored.tobytes()


def _add_extra(ds: Dataset, extra: dict[str, Any]) -> None:
    for keyword, value in extra.items():
        if keyword in _OURS:
            raise ValueError(f"{keyword} is set by the writer and cannot be replaced.")
        try:
            ds.add_new(keyword, dictionary_VR(keyword), value)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{keyword} is no DICOM attribute, or its value does not fit.") from error


_OURS = {
    "SOPClassUID", "SOPInstanceUID", "ImageType", "SoftwareVersions", "SamplesPerPixel", "PhotometricInterpretation",
    "PlanarConfiguration", "Rows", "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "HighBit",
    "PixelRepresentation", "PixelData", "WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence",
    "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "PixelPaddingValue", "PresentationLUTShape",
    "BurnedInAnnotation", "PatientIdentityRemoved",
}  # fmt: skip


def derived_png(pixels: np.ndarray, kind: str = "purified") -> bytes:
    """Pixels as a PNG that is recognised as ours.

    Grey is written with 16 bits, and reading gives back ``round(pixels * 65535) / 65535``. Colour is written with 8
    bits, as Pillow neither writes nor reads 16-bit colour PNG: it is marked as derived but not as exact, and whoever
    needs the exact colours takes `derived_dicom`.

    Parameters
    ----------
    pixels : numpy.ndarray
        (H, W) or (H, W, 3), finite, in [0, 1].
    kind : str
        ``'synthetic'``, ``'attacked'`` or ``'purified'``, stated in a tEXt chunk.

    Raises
    ------
    ValueError
        Where `pixels` or `kind` is not as described.
    """
    stored = _stored(pixels)
    if kind not in KINDS:
        raise ValueError(f"kind is one of {', '.join(KINDS)}, not {kind!r}.")
    if stored.ndim == 3:
        stored = np.rint(np.asarray(pixels, dtype=np.float64) * 255).astype(np.uint8)
    text = PngInfo()
    text.add_text(PNG_KEY, kind)
    file = io.BytesIO()
    Image.fromarray(stored).save(file, format="PNG", pnginfo=text)
    return file.getvalue()


def write_derived_png(path: str | os.PathLike[str], pixels: np.ndarray, kind: str = "purified") -> Path:
    """`derived_png` as a file; `path`."""
    Path(path).write_bytes(derived_png(pixels, kind))
    return Path(path)
