"""What the tests of the Audit page share."""

import io
import zipfile
from pathlib import Path

from streamlit.testing.v1 import AppTest

from pages.audit.source import FILES
from pages.audit.state import AuditState
from tests.reading import session

SAMPLES = Path(__file__).resolve().parents[3] / "assets" / "samples"
COHORT = SAMPLES.parent / "cohort"


def audit(app: AppTest) -> AuditState:
    return session(app).state_of(AuditState)


def packed() -> bytes:
    """An attacked scan, a clean one, and a file that is no scan."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.write(SAMPLES / "no-tumour-01.dcm", "Doe^John.dcm")
        archive.writestr("broken.png", b"\x89PNG\r\n\x1a\nno picture")
        archive.write(COHORT / "tumour-01-pgd-8.dcm", "attacked.dcm")
    return stream.getvalue()


def upload(app: AppTest, name: str, content: bytes) -> AppTest:
    app.segmented_control(key="audit-source").set_value(FILES).run()
    next(found for found in app.file_uploader if found.key == f"audit-{FILES}").upload(name, content)
    return app.run()
