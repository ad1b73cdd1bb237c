"""What the tags of a DICOM file must say, and which of them are shown."""

from __future__ import annotations

import numpy as np
import pytest
from builders import FOUR, dataset, dicom, saved
from outcomes import refused
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ImplicitVRLittleEndian

from core.scans import derived_dicom, load_scan
from core.scans.dicom.confidential import _TAGS, KEYWORDS, is_confidential
from core.scans.dicom.tags import ALLOWED, TEXTS

pytestmark = pytest.mark.filterwarnings("ignore")
SECRET = "Zebedee"
KNOWN = """
    PatientName PatientID PatientBirthDate PatientSex PatientAge PatientAddress PatientTelephoneNumbers
    PatientMotherBirthName MilitaryRank EthnicGroup Occupation MedicalRecordLocator AccessionNumber
    ReferringPhysicianName InstitutionAddress StationName DeviceSerialNumber StudyDate SeriesTime StudyInstanceUID
    SOPInstanceUID FrameOfReferenceUID StudyDescription ImageComments ProtocolName RequestAttributesSequence
    OtherPatientIDsSequence PersonAddress IssuerOfPatientID ContentSequence
""".split()
# What the kinds of values that hold words may hold: enough of them to hide a name in.
WORDED = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}


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


def test_the_list_is_the_whole_table_in_words_that_the_dictionary_knows() -> None:
    assert set(KNOWN) <= KEYWORDS and len(_TAGS) == 653
    assert not [keyword for keyword in KEYWORDS if tag_for_keyword(keyword) is None]
    assert all(is_confidential(tag_for_keyword(keyword)) for keyword in KNOWN)
    assert is_confidential(0x00100012) and is_confidential(0x3004007F)
    assert not any(is_confidential(tag) for tag in (0x00080060, 0x60000010, 0x7FE00010))


@pytest.mark.parametrize("group", range(0, 0x20, 2))
def test_of_repeating_groups_the_table_names_whole_curves_and_what_overlays_show(group: int) -> None:
    curve, overlay = 0x50000000 + (group << 16), 0x60000000 + (group << 16)
    assert all(is_confidential(curve + element) for element in (0x0000, 0x0010, 0x0022, 0x3000, 0xFFFF))
    assert is_confidential(overlay + 0x3000) and is_confidential(overlay + 0x4000)
    assert not any(is_confidential(overlay + element) for element in (0x0010, 0x0011, 0x0050, 0x3001))


@pytest.mark.parametrize("group", [0x0009, 0x0029, 0x2001, 0x5001, 0x6003, 0x7FE1, 0xFFFD])
def test_private_attributes_are_confidential(group: int) -> None:
    assert all(is_confidential(group << 16 | element) for element in (0x0010, 0x1010, 0xFFFF))


def test_private_attributes_leave_the_machine_its_name() -> None:
    source = dataset(FOUR, Manufacturer="SIEMENS")
    source.add_new(0x00290010, "LO", "SIEMENS CSA HEADER")
    assert load_scan(saved(source)).tags["Manufacturer"] == "SIEMENS"


def test_nothing_of_the_list_is_shown_and_no_free_text_but_the_machines() -> None:
    shown = {keyword for keyword, _, _ in ALLOWED}
    assert not [keyword for keyword in shown if is_confidential(tag_for_keyword(keyword))]
    assert {keyword for keyword in shown if dictionary_VR(keyword) in WORDED} == TEXTS


@pytest.mark.parametrize("keyword", sorted(word for word in KEYWORDS if dictionary_VR(word) in WORDED))
def test_what_repeats_a_confidential_word_is_kept_out(keyword: str) -> None:
    repeated = {
        "ManufacturerModelName": "ZEBEDEE 3000",
        "Manufacturer": f"{SECRET} Inc",
        "SequenceName": SECRET.upper(),
    }
    scan = load_scan(dicom(FOUR, **repeated, **{keyword: SECRET}, WindowCenter=2, WindowWidth=3,
                           WindowCenterWidthExplanation=f"for {SECRET}"))  # fmt: skip
    assert SECRET.lower() not in f"{scan.tags}{scan.notes}{scan.windows}".lower()
    assert SECRET.encode() not in derived_dicom(np.zeros((4, 4)), kind="purified", description="", source=scan)


def test_names_below_a_sequence_count_too() -> None:
    other = Dataset()
    other.PatientID = SECRET
    scan = load_scan(dicom(FOUR, OtherPatientIDsSequence=Sequence([other]), BodyPartExamined="ZEBEDEE", KVP="70"))
    assert scan.tags["Tube voltage"] == "70 kV" and "Body part" not in scan.tags


def test_names_in_an_attribute_too_new_for_the_dictionary_count_too() -> None:
    # 'Name to Use': of an unknown kind where a file does not say kinds of values.
    data = dataset(FOUR, ImplicitVRLittleEndian, ManufacturerModelName=f"{SECRET} 3000", KVP="70")
    data.add_new(0x00100012, "LT", SECRET)
    scan = load_scan(saved(data))
    assert scan.tags["Tube voltage"] == "70 kV" and "Model" not in scan.tags


def test_names_in_a_damaged_attribute_count_too() -> None:
    data = dicom(FOUR, PatientID=SECRET, BodyPartExamined=SECRET.upper(), KVP="70")
    damaged = data.replace(b"\x10\x00\x20\x00LO", b"\x10\x00\x20\x00ZZ")
    assert damaged != data
    scan = load_scan(damaged)
    assert scan.tags["Tube voltage"] == "70 kV" and "Body part" not in scan.tags


def test_medical_words_and_parts_of_numbers_take_nothing_away() -> None:
    described = {"StudyDescription": "Brain, 120 kV", "SeriesTime": "101010.120", "PatientWeight": "120"}
    scan = load_scan(dicom(FOUR, **described, BodyPartExamined="BRAIN", KVP="120", BurnedInAnnotation="YES",
                           SmokingStatus="YES", StudyInstanceUID="1.2.120.4"))  # fmt: skip
    assert scan.tags["Body part"] == "BRAIN" and scan.tags["Tube voltage"] == "120 kV"
    assert scan.tags["Burned-in annotation"] == "YES"


def test_a_window_of_a_frame_is_named_by_no_patient() -> None:
    window, frame = Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth, window.WindowCenterWidthExplanation = 2, 3, f"for {SECRET}"
    frame.FrameVOILUTSequence = Sequence([window])
    shared = {"SharedFunctionalGroupsSequence": Sequence([frame]), "PatientName": SECRET}
    scan = load_scan(dicom(FOUR, **shared))
    assert scan.windows[0].center == 2 and SECRET not in f"{scan.windows}"
