"""What the standard's Basic Profile takes out is never shown, and never written."""

from __future__ import annotations

import numpy as np
import pytest
from builders import FOUR, dicom
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from core.scans import derived_dicom, load_scan
from core.scans.dicom.confidential import KEYWORDS, is_confidential
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


def test_the_list_is_the_whole_table_in_words_that_the_dictionary_knows() -> None:
    assert set(KNOWN) <= KEYWORDS and len(KEYWORDS) == 627
    assert not [keyword for keyword in KEYWORDS if tag_for_keyword(keyword) is None]
    assert all(is_confidential(tag_for_keyword(keyword)) for keyword in KNOWN)
    assert is_confidential(0x60024000) and is_confidential(0x50040010) and is_confidential(0x00100012)
    assert not any(is_confidential(tag) for tag in (0x00080060, 0x60000010, 0x7FE00010))


def test_nothing_of_the_list_is_shown_and_no_free_text_but_the_machines() -> None:
    shown = {keyword for keyword, _, _ in ALLOWED}
    assert not shown & KEYWORDS
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
