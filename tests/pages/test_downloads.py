"""What a file to take away is called."""

from core.scans import load_scan, sample_scans
from pages.shared.downloads import file_stem, scan_stem
from pages.shared.session import Session


def test_a_file_name_holds_letters_and_digits_only() -> None:
    assert file_stem("Doe^J, 1.dcm", "scan") == "Doe-J-1" and file_stem("^.dcm", "scan") == "scan"


def test_the_name_of_a_visitors_file_is_written_only_where_it_is_asked_for() -> None:
    scan, visitor = load_scan(sample_scans("brain-mri")[0].path, "Doe^John.dcm"), Session()
    assert scan_stem(visitor, scan) == f"scan-{scan.sha256[:8]}"
    visitor.write_names = True
    assert scan_stem(visitor, scan) == "Doe-John"
    assert scan_stem(Session(sample="tumour-01"), scan) == "Doe-John"
