"""SIGTERM ends the app in time, whatever it is doing."""

import contextlib
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from helpers import WAIT_MS, choose, decision, settle, upload
from playwright.sync_api import Browser, Page, expect

from tests.app_server import Server, start_server
from tests.scans.bombs import deflated_dicom

SECONDS = 10.0
SAMPLE = Path(__file__).resolve().parents[2] / "assets" / "samples" / "tumour-01.dcm"


@pytest.fixture(scope="module")
def silent_server() -> Iterator[str]:
    """The address of a server that takes every connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held: list[socket.socket] = []

        def hold() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(listener.accept()[0])

        threading.Thread(target=hold, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()


def nothing(page: Page) -> None:
    """Only look at the page."""


def attack(page: Page) -> None:
    upload(page, SAMPLE.name, SAMPLE.read_bytes())
    decision(page, SAMPLE.name)
    page.get_by_role("link", name="Attack").first.click()
    page.get_by_text("Whole defence", exact=True).click(timeout=WAIT_MS)
    settle(page)
    page.locator(".st-key-attack button").click()
    expect(page.get_by_test_id("stProgress")).to_contain_text(re.compile(r"Step [1-9]\d* of"), timeout=WAIT_MS)


def audit(page: Page) -> None:
    page.get_by_role("link", name="Audit").click()
    expect(page.locator(".st-key-audit-start button")).to_be_enabled(timeout=WAIT_MS)
    settle(page)
    page.locator(".st-key-audit-start button").click()
    expect(page.get_by_test_id("stProgress")).to_contain_text(re.compile("[1-9] of"), timeout=WAIT_MS)


def encrypted_request(page: Page) -> None:
    upload(page, SAMPLE.name, SAMPLE.read_bytes())
    decision(page, SAMPLE.name)
    page.get_by_role("link", name="Encrypt").first.click()
    choose(page.locator(".st-key-encrypt-server").get_by_role("combobox"), "http://127.0.0.1")
    settle(page)
    page.locator(".st-key-encrypt button").click()
    expect(page.locator(".st-key-encrypt-stop")).to_be_visible(timeout=WAIT_MS)


def decode(page: Page) -> None:
    upload(page, "slow.dcm", deflated_dicom(400))  # opening it takes seconds
    expect(page.get_by_text("Opening the scan")).to_be_visible(timeout=WAIT_MS)


@pytest.mark.parametrize("doing", [nothing, attack, audit, encrypted_request, decode])
def test_sigterm_ends_it_in_time(
    browser: Browser, monkeypatch, tmp_path: Path, silent_server: str, doing: Callable[[Page], None]
) -> None:
    monkeypatch.setenv("PURESCAN_ENCRYPTION_SERVERS", silent_server)
    monkeypatch.setenv("PURESCAN_CACHE", str(tmp_path))
    process, server = start_server()
    try:
        with opened(browser, server) as page:
            doing(page)
            start = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(60)
            print(f"Gone {time.monotonic() - start:.1f} s after SIGTERM")
            assert time.monotonic() - start < SECONDS
    finally:
        process.kill()


@contextlib.contextmanager
def opened(browser: Browser, server: Server) -> Iterator[Page]:
    """Give the app as a new visitor sees it who has read the notice."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.goto(server.url)
    page.get_by_role("button", name="I understand").click(timeout=WAIT_MS)
    expect(page.get_by_text("Sample scans")).to_be_visible(timeout=WAIT_MS)
    yield page
    context.close()
