"""The Attack page in a real browser: from the press of a button to the file that is uploaded again, and Stop."""

import re
import time
from collections.abc import Callable
from pathlib import Path

from helpers import WAIT_MS, choose, decision, press_stop, settle, upload
from playwright.sync_api import Page, expect

from core import examine, load_bundle, load_scan
from core.attacks import AttackSettings, attack_scan
from pages.shared.words import heading, said_of

Visit = Callable[[], Page]
SAMPLES = Path(__file__).resolve().parents[2] / "assets" / "samples"
SAMPLE = SAMPLES / "tumour-01.dcm"
STOP_SECONDS = 1.0
LAG_SECONDS = 3.0


def open_attack(page: Page) -> None:
    """The Attack page with a sample, ready to attack."""
    page.get_by_role("link", name="Attack").click()
    upload(page, SAMPLE.name, SAMPLE.read_bytes())
    expect(page.locator(".st-key-attack button")).to_be_visible(timeout=WAIT_MS)
    settle(page)


def choose_attack(page: Page, title: str) -> None:
    choose(page.get_by_test_id("stMain").get_by_label("Attack", exact=True).first, title)
    settle(page)


def start_long_attack(page: Page) -> None:
    """AutoAttack with a budget so small that it does not come to its end."""
    choose_attack(page, "AutoAttack")
    budget = page.get_by_test_id("stMain").get_by_role("slider").first
    budget.focus()
    budget.press("Home")
    settle(page)
    page.locator(".st-key-attack button").click()


def computing(text: str) -> float:
    """The time that an attack has taken so far, as the page says it."""
    found = re.search(r"([\d.]+) s of computing", text)
    assert found, text
    return float(found[1])


def counted(text: str) -> int:
    """The steps that were taken, as the page says it."""
    found = re.search(r"(?:Step|after) (\d+)", text)
    assert found, text
    return int(found[1])


def attacked(page: Page) -> list[str]:
    """Press the button and wait for the verdict; its lines."""
    page.locator(".st-key-attack button").click()
    expect(page.locator(".st-key-verdict")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    return [line for line in page.locator(".st-key-verdict").inner_text().splitlines() if line.strip()]


def test_attack_is_flagged_and_purified_and_its_file_gives_the_same_verdict(open_app: Visit, tmp_path: Path) -> None:
    page = open_app()
    open_attack(page)
    expected = examine(attack_scan(load_scan(SAMPLE), load_bundle(), AttackSettings("pgd")), load_bundle())
    assert expected.prediction and expected.undefended and expected.detection and expected.detection.flagged
    card = attacked(page)
    assert card[card.index("Before the attack") + 1] == "Tumour"
    assert card[card.index("Attacked") + 1] == heading(expected.undefended.label)
    assert any(line.startswith(f"Detector: {said_of(expected.detection)}") for line in card)
    assert card[card.index("After purification") + 1] == heading(expected.prediction.label)
    for label in ("SSIM", "PSNR", "ℓ∞", "ℓ2"):
        expect(page.get_by_test_id("stMetric").filter(has_text=label).first).to_be_visible()
    assert all(image.get_attribute("alt") for image in page.get_by_test_id("stMain").locator("img").all())

    with page.expect_download() as download:
        page.locator(".st-key-download-dcm button").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert re.fullmatch(r"scan-[0-9a-f]{8}-attacked\.dcm", file.name)
    assert load_scan(file).derived == "attacked"

    page.get_by_role("link", name="Examine").click()
    upload(page, file.name, file.read_bytes())
    again = [line for line in decision(page, file.name).splitlines() if line.strip()]
    assert any("Flagged: may have been" in line for line in again)
    assert again[again.index("As it was given") + 1] == heading(expected.undefended.label)
    assert again[again.index("After purification") + 1] == heading(expected.prediction.label)


def test_autoattack_is_watched_and_stops_at_once(open_app: Visit) -> None:
    page = open_app()
    open_attack(page)
    start_long_attack(page)
    progress = page.get_by_test_id("stProgress")
    expect(progress).to_contain_text("of at most 5,200", timeout=WAIT_MS)
    first = progress.inner_text()
    expect(progress).not_to_have_text(first, timeout=WAIT_MS)
    # What was on the page before must not stand beside the attack, greyed.
    expect(page.locator(".st-key-attack button")).to_have_count(0)
    start = time.perf_counter()
    before = computing(press_stop(page))
    ended = page.get_by_text("of computing")
    expect(page.get_by_text("Stopped after")).to_be_visible(timeout=WAIT_MS)
    seconds = time.perf_counter() - start
    expect(page.locator(".st-key-verdict")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    more = computing(ended.first.inner_text()) - before
    print(f"Stopped, examined and drawn {seconds:.2f} s after the click; {more:.1f} s more of attacking")
    # What is on the page is a moment old, and a busy machine draws late: hence not the time on the clock.
    assert more <= STOP_SECONDS + LAG_SECONDS


def test_the_whole_defence_is_attacked_and_stops_within_a_step(open_app: Visit) -> None:
    page = open_app()
    open_attack(page)
    page.get_by_test_id("stMain").get_by_role("radio", name="Whole defence").click()
    settle(page)
    page.locator(".st-key-attack button").click()
    progress = page.get_by_test_id("stProgress")
    expect(progress).to_contain_text(re.compile(r"Step [2-9]\d* of at most 40"), timeout=WAIT_MS)
    said = press_stop(page)
    step, spent = counted(said), computing(said)
    ended = page.get_by_text(re.compile(r"Stopped after \d+ steps"))
    expect(ended).to_be_visible(timeout=WAIT_MS)
    expect(page.locator(".st-key-verdict")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    more = computing(page.get_by_text("of computing").first.inner_text()) - spent
    steps = counted(ended.inner_text())
    print(f"Stopped {steps - step} steps and {more:.1f} s after what the page had shown")
    # A step through the purifier takes a second or less; what the page shows is a moment old.
    assert steps < 40 and more <= STOP_SECONDS + LAG_SECONDS + spent / step


def test_keys_step_through_the_attack(open_app: Visit) -> None:
    page = open_app()
    open_attack(page)
    page.locator(".st-key-class-view button").click()
    settle(page)
    attacked(page)
    page.keyboard.press("Home")
    expect(page.get_by_role("heading", name="Original")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("heading", name="After step 1", exact=True)).to_be_visible(timeout=WAIT_MS)
    settle(page)
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("heading", name="Original")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    page.keyboard.press("End")
    expect(page.locator(".st-key-verdict")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_role("img", name="Detector: Altered, flagged")).to_be_visible()
    page.set_viewport_size({"width": 820, "height": 1180})
    settle(page)
    box = page.locator(".st-key-verdict").bounding_box()
    assert box and box["y"] < 1180 / 2  # beside the picture, not below it


def test_streamlits_own_stop_pauses_the_attack_and_it_goes_on(open_app: Visit) -> None:
    page = open_app()
    open_attack(page)
    start_long_attack(page)
    progress = page.get_by_test_id("stProgress")
    expect(progress).to_contain_text(re.compile(r"Step [1-9]\d* of"), timeout=WAIT_MS)
    page.get_by_test_id("stStatusWidget").get_by_role("button", name="Stop").click()
    go_on = page.locator(".st-key-go-on button")
    expect(go_on).to_be_visible(timeout=WAIT_MS)
    settle(page)
    waiting = counted(progress.inner_text())
    page.wait_for_timeout(1500)
    assert counted(progress.inner_text()) == waiting
    go_on.click()
    expect(progress).not_to_contain_text(f"Step {waiting} of", timeout=WAIT_MS)
    assert counted(progress.inner_text()) > waiting
    # What was on the page while it waited must not stand beside the attack, greyed.
    expect(go_on).to_have_count(0)
    expect(page.get_by_test_id("stProgress")).to_have_count(1)
    page.locator(".st-key-stop button").click()
    expect(page.get_by_text(re.compile(r"Stopped after \d+ steps"))).to_be_visible(timeout=WAIT_MS)


def test_the_shortcut_attacks_while_a_box_has_the_focus(open_app: Visit) -> None:
    page = open_app()
    open_attack(page)
    choose_attack(page, "FGSM")
    box = page.get_by_test_id("stMain").get_by_label("Attack", exact=True).first
    before = box.input_value()
    box.focus()
    page.keyboard.press("Alt+a")
    expect(page.locator(".st-key-verdict")).to_be_visible(timeout=WAIT_MS)
    settle(page)
    assert box.input_value() == before
