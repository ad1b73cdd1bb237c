"""Small valid files, made by the tests themselves."""

from __future__ import annotations

import gzip
import io
import zipfile
from typing import Any

import nibabel as nib
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    MRImageStorage,
    generate_uid,
)

FOUR = np.array([[0, 100], [200, 300]], np.uint16)


def dataset(pixels: np.ndarray, syntax: UID = ExplicitVRLittleEndian, **tags: Any) -> Dataset:
    """Return a grey or RGB data set with the stored values `pixels`: (H, W), (F, H, W) or (H, W, 3)."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = MRImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid()
    ds.Modality = "MR"
    ds.BurnedInAnnotation = "NO"
    colour = pixels.shape[-1] == 3 and pixels.ndim > 2
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    elif pixels.ndim == 3:
        ds.NumberOfFrames = pixels.shape[0]
    ds.Rows, ds.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    bits = 8 * pixels.dtype.itemsize
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = bits, bits, bits - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    ds.PixelData = data + b"\0" * (len(data) % 2)
    ds["PixelData"].VR = "OB" if bits == 8 else "OW"
    for keyword, value in tags.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def saved(ds: Dataset) -> bytes:
    """Return the bytes of a data set as a file."""
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def dicom(pixels: np.ndarray, syntax: UID = ExplicitVRLittleEndian, **tags: Any) -> bytes:
    """Return the bytes of a DICOM file with the stored values `pixels`."""
    return saved(dataset(pixels, syntax, **tags))


def nifti(
    values: np.ndarray, affine: np.ndarray | None = None, packed: bool = False, kind: type = nib.Nifti1Image
) -> bytes:
    """Return the bytes of a NIfTI file."""
    data = kind(values, np.eye(4) if affine is None else affine).to_bytes()
    return gzip.compress(data, mtime=0) if packed else data


def picture(values: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """Return the bytes of a raster picture."""
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return the bytes of a ZIP archive."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def ramp(rows: int = 8, columns: int = 8, kind: type = np.uint16, step: int = 7) -> np.ndarray:
    """Return (rows, columns) values 0, step, 2·step, ..."""
    return (np.arange(rows * columns).reshape(rows, columns) * step).astype(kind)
