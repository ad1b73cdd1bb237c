"""Put real slices, cells and films of collections under CC BY 4.0 among the samples, and draw every sample in small.

    python -m training.publish.real_samples --slices cheng.npz --cells pbc.zip
    python -m training.publish.real_samples --films pneumonia.npz
    python -m training.publish.real_samples                                         only the small pictures

All are validation scans, which no shipped network was trained on. The slices were chosen by eye, for tumours that can
be seen in a small picture; a cell is the first of its kind, and films are the first of either.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from core.bundles import load_bundle
from core.evaluation.datasets import load_for
from core.explanation.overlays import scan_png
from core.scans import Sample, load_scan, sample_scans
from core.scans.samples import sample_folder
from training.files import write_json
from training.options import command_options

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "samples"
PICTURES = FOLDER / "pictures"
PICTURE_SIDE = 128
SLICES = (1904, 1896, 1359, 1328)  # numbers of figshare's files
TUMOURS = {"glioma": "glioma", "meningioma": "meningioma", "pituitary": "pituitary tumour"}
CELLS, FILMS = "blood-cells", "chest-xray"
FILMS_OF_A_CLASS = 3
CHENG = "Cheng 2017, figshare 1512427, CC BY 4.0"
ACEVEDO = "Acevedo et al. 2020, Data in Brief 30, 105474, CC BY 4.0"
KERMANY = "PneumoniaMNIST, Yang et al. 2023, of Kermany et al. 2018, CC BY 4.0"


def main() -> None:
    parser = command_options(__doc__)
    parser.add_argument("--slices", type=Path, help="cheng.npz")
    parser.add_argument("--cells", type=Path, help="pbc.zip")
    parser.add_argument("--films", type=Path, help="what training.collections.medmnist makes of pneumoniamnist.npz")
    options = parser.parse_args()
    if bool(options.slices) != bool(options.cells):
        parser.error("Give both --slices and --cells: real.json is written whole.")
    if options.slices:
        record: dict[str, Any] = {
            "command": f"python -m training.publish.real_samples --slices {options.slices.name} "
            f"--cells {options.cells.name}"
        }
        write_json(FOLDER / "real.json", record | brain_slices(options.slices) | blood_cells(options.cells))
    if options.films:
        command = f"python -m training.publish.real_samples --films {options.films.name}"
        write_json(sample_folder(FILMS) / "real.json", {"command": command} | chest_films(options.films))
    PICTURES.mkdir(exist_ok=True)
    for sample in sample_scans():
        (PICTURES / f"{sample.key}.png").write_bytes(small_picture(sample))


def brain_slices(file: Path) -> dict[str, dict[str, str]]:
    """Write the slices as DICOM; return file → what is said of it."""
    data, record = np.load(file), {}
    for number in SLICES:
        (place,) = np.flatnonzero(data["number"] == number)
        assert data["split"][place] == 1, f"Slice {number} is not of the validation split."
        kind = str(data["kind"][place])
        path = FOLDER / f"real-{kind}-{number}.dcm"
        comment = f"Slice {number} of {CHENG}; reduced to 128 x 128, 8 bits."
        contrast = {"AcquisitionContrast": "T1", "ContrastBolusAgent": "Gadolinium"}
        path.write_bytes(secondary_capture(data["image"][place], comment, Modality="MR", **contrast))
        about = f"A real axial slice that shows a {TUMOURS[kind]}. {CHENG}."
        title = f"{TUMOURS[kind].capitalize()} {number}, T1 with contrast"
        record[path.name] = {"title": title, "description": about, "origin": "real"}
    return record


def secondary_capture(pixels: np.ndarray, comment: str, **attributes: str) -> bytes:
    """Return (H, W) uint8 as a Secondary Capture Image, which claims no patient and no acquisition (PS3.3 A.8.1)."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = SecondaryCaptureImageStorage
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = generate_uid(entropy_srcs=[comment])
    ds.ConversionType, ds.ImageComments = "WSD", comment
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    ds.PatientName, ds.PatientID, ds.PatientIdentityRemoved = "", "", "YES"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns = pixels.shape
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.WindowCenter, ds.WindowWidth = 128, 256
    ds.PixelData = pixels.tobytes()
    stream = io.BytesIO()
    ds.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def blood_cells(file: Path) -> dict[str, dict[str, str]]:
    """Write the first validation cell of each kind as PNG; return file → what is said of it."""
    bundle, record = load_bundle(CELLS), {}
    val = load_for(bundle, file).split("val")
    for label, name in enumerate(bundle.classes):
        place = int(np.flatnonzero(val.labels.numpy() == label)[0])
        pixels = (255 * val.pixels[place].permute(1, 2, 0).numpy()).round().astype(np.uint8)
        path = FOLDER / f"{name.replace(' ', '-')}-01.png"
        Image.fromarray(pixels).save(path, optimize=True)
        about = f"A real cell under the microscope. {ACEVEDO}."
        record[path.name] = {"title": name.capitalize(), "description": about, "origin": "real", "bundle": CELLS}
    return record


def chest_films(file: Path) -> dict[str, dict[str, str]]:
    """Write the first validation films of each class as DICOM; return file → what is said of it."""
    bundle, folder, record = load_bundle(FILMS), sample_folder(FILMS), {}
    folder.mkdir(exist_ok=True)
    val = load_for(bundle, file).split("val")
    for label, name in enumerate(bundle.classes):
        places = np.flatnonzero(val.labels.numpy() == label)[:FILMS_OF_A_CLASS]
        for number, place in enumerate(places, 1):
            pixels = (255 * val.pixels[place, 0].numpy()).round().astype(np.uint8)
            path = folder / f"{name.replace(' ', '-')}-{number:02d}.dcm"
            comment = f"Validation film {place} of {KERMANY}; 28 x 28, 8 bits."
            path.write_bytes(secondary_capture(pixels, comment, Modality="DX", BodyPartExamined="CHEST"))
            about = f"A real film of a child's chest, labelled ‘{name}’, at 28 × 28 pixels. {KERMANY}."
            record[path.name] = {"title": f"{name.capitalize()} {number}", "description": about, "origin": "real"}
    return record


def small_picture(sample: Sample) -> bytes:
    """Return the frame that opens first as a PNG whose longest side is `PICTURE_SIDE`."""
    scan = load_scan(sample.path)
    picture = Image.open(io.BytesIO(scan_png(scan.frame(), scan.spacing)))
    picture.thumbnail((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()


if __name__ == "__main__":
    main()
