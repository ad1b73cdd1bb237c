"""What docs/security.md says of settings, fields and limits is what the app has."""

import logging
import re
import tomllib
from pathlib import Path

import pytest

from core.scans import limits
from pages.shared.log import JsonLines, LogLine

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
SERVER = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["server"]


def test_other_sites_stay_out():
    assert SERVER["enableXsrfProtection"] is True and SERVER["enableCORS"] is True
    assert SERVER["address"] == "127.0.0.1" and SERVER["allowedHosts"] == ["127.0.0.1", "localhost"]
    assert SERVER["enableAgentApi"] is False


def test_an_upload_has_one_limit_everywhere():
    assert SERVER["maxUploadSize"] * limits.MEBIBYTE == limits.MAX_UPLOAD_BYTES
    assert f"client_max_body_size {SERVER['maxUploadSize'] + 1}m;" in PAGE
    assert f"{SERVER['maxUploadSize']} MB" in PAGE


@pytest.mark.parametrize(
    "header",
    ["Content-Security-Policy", "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy",
     "Strict-Transport-Security", "Permissions-Policy"],
)  # fmt: skip
def test_the_proxy_sends_each_header_with_errors_too(header):
    (line,) = re.findall(rf"^    add_header {header} .*$", PAGE, re.MULTILINE)
    assert line.endswith(" always;")


def test_the_unit_keeps_memory_off_the_disk_and_the_process_off_the_network():
    for line in ("MemoryMax=8G", "MemorySwapMax=0", "LimitCORE=0", "IPAddressDeny=any", "NoNewPrivileges=yes"):
        assert f"\n{line}\n" in PAGE
    assert "-r requirements.lock" in PAGE and (ROOT / "requirements.lock").exists()


def test_what_is_added_lies_where_the_unit_may_read_and_is_backed_up():
    unit, backups = PAGE.split("```ini")[1].split("```")[0], PAGE.split("**Backups.**")[1].split("**Updates.**")[0]
    folder = "/var/lib/" + re.search(r"^StateDirectory=(.*)$", unit, re.MULTILINE)[1]
    assert "ProtectHome=yes" in unit and f"Environment=PURESCAN_BUNDLES={folder}/bundles\n" in unit
    assert "PURESCAN_BUNDLES" in backups


def test_the_log_has_the_fields_that_the_page_names(caplog):
    caplog.set_level(logging.INFO, "purescan")
    LogLine("Examining the scan").write("failed", 0.5, ValueError("no"), steps=3)
    written = set(re.findall(r'"(\w+)":', JsonLines().format(caplog.records[-1])))
    table = PAGE.split("## The log")[1].split("## For a department")[0]
    assert written - {"time", "level", "event"} <= set(re.findall(r"`(\w+)`", table))
    example = set(re.findall(r'"(\w+)":', table))
    assert example == written - {"error", "steps"}


def test_the_page_is_found():
    for name in ("README.md", "CHANGELOG.md"):
        assert "docs/security.md" in (ROOT / name).read_text(encoding="utf-8")
