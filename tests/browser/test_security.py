"""The policy that a proxy should send lets every page work, and a foreign name opens no session."""

import http.client
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers import WAIT_MS, decision, settle
from playwright.sync_api import Browser, Page, Route, expect

from tests.app_server import Server, start_server

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "security.md").read_text(encoding="utf-8")
POLICY = re.search(r'Content-Security-Policy "([^"]+)"', PAGE)[1]  # type: ignore[index]
PAGES = ("Detect", "Across tasks", "Audit", "Purify", "Experts", "Faults", "Encrypt", "Federate", "Attack")


@pytest.fixture
def guarded(browser: Browser, server: Server) -> Iterator[Page]:
    """The app's page with the policy's header, as a proxy would send it."""
    # A page that a test hands in counts as a stranger to this machine, whose sockets it may not open.
    context = browser.new_context(permissions=["local-network-access"])
    page = context.new_page()

    def with_policy(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": POLICY})

    page.route(lambda url: urlsplit(url).path == "/", with_policy)
    yield page
    context.close()


def test_every_page_works_under_the_policy(guarded: Page, server: Server) -> None:
    said: list[str] = []
    guarded.on("console", lambda message: said.append(message.text))
    guarded.goto(server.url)
    guarded.get_by_role("button", name="I understand").click(timeout=WAIT_MS)
    guarded.get_by_role("link", name="Examine", exact=True).first.click()
    guarded.locator(".st-key-start-no-tumour-01 button").click(timeout=WAIT_MS)
    decision(guarded, "no-tumour-01.dcm")
    expect(guarded.locator(".viewer .picture")).to_have_attribute("data-slice", "0", timeout=WAIT_MS)
    for name in PAGES:
        guarded.get_by_role("link", name=name, exact=True).first.click()
        guarded.wait_for_timeout(1000)
        settle(guarded)
    assert not [text for text in said if "Content Security Policy" in text]
    blocked = guarded.evaluate("() => fetch('https://example.org').then(() => 'open', () => 'shut')")
    assert blocked == "shut" and [text for text in said if "Content Security Policy" in text]


def upgrade(server: Server, host: str) -> int:
    """Ask for a WebSocket as a browser would at the address `host`; the answer's status."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.url).port, timeout=20)
    headers = {
        "Host": host, "Origin": f"https://{host}", "Connection": "Upgrade", "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }  # fmt: skip
    connection.request("GET", "/_stcore/stream", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_a_name_that_a_stranger_points_here_opens_no_session(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    assert upgrade(server, "localhost") == 101 and upgrade(server, "rebound.example.org") == 403
    monkeypatch.setenv("STREAMLIT_SERVER_ALLOWED_HOSTS", "purescan.example.org")
    process, behind_proxy = start_server()
    try:
        assert upgrade(behind_proxy, "purescan.example.org") == 101
        assert upgrade(behind_proxy, "localhost") == 403
    finally:
        process.terminate()
        process.wait(20)
