"""What the tags of a DICOM file must say, and which of them are shown."""

from __future__ import annotations

import numpy as np
import pytest
from builders import FOUR, dicom
from outcomes import refused

from core.scans import load_scan

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("keyword", ["SamplesPerPixel", "PhotometricInterpretation", "PixelRepresentation"])
def test_attributes_that_have_an_obvious_value_may_be_missing(keyword: str) -> None:
    np.testing.assert_array_equal(load_scan(dicom(FOUR, **{keyword: None})).values[0], FOUR)


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "BitsAllocated"])
def test_attributes_that_pixels_need(keyword: str) -> None:
    refused(dicom(FOUR, **{keyword: None}), keyword)


def test_no_identifying_tag_is_shown() -> None:
    secret = "Zebedee"
    tags = {
        keyword: secret
        for keyword in ("PatientName", "PatientID", "InstitutionName", "StudyDescription", "SeriesDescription",
                        "ImageComments", "ProtocolName", "StationName", "OperatorsName", "PatientComments")
    }  # fmt: skip
    tags |= {"StudyDate": "20200102", "BodyPartExamined": "BRAIN", "EchoTime": "12.50"}
    tags |= {"ImageType": ["ORIGINAL", "Zebedee"], "ManufacturerModelName": "ZEBEDEE 3000"}
    scan = load_scan(dicom(FOUR, **tags))
    shown = f"{scan.tags}{scan.notes}{scan.windows}"
    assert secret.lower() not in shown.lower() and "20200102" not in shown
    assert scan.tags["Body part"] == "BRAIN" and scan.tags["Echo time"] == "12.5 ms"
    assert scan.tags["Transfer syntax"] == "Explicit VR Little Endian"


@pytest.mark.parametrize("stated,word", [("NO", None), ("YES", "is burned"), (None, "does not say")])
def test_burned_in_text(stated: str | None, word: str | None) -> None:
    notes = " ".join(load_scan(dicom(FOUR, BurnedInAnnotation=stated)).notes)
    assert (word in notes) if word else ("burned" not in notes)
