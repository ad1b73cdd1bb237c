"""What the page on detection says of benign changes."""

from training.publish.detection import benign_sentence


def test_the_sentence_on_benign_changes():
    now = {"flagged": 200, "kept": 190, "turned_wrong": 4, "turned_right": 6}
    otherwise = {"flagged": 200, "kept": 100, "turned_wrong": 60, "turned_right": 40}
    first, second = benign_sentence({"measured": now, "none stands": otherwise}).split(". If")
    assert "Of the 200 flagged" in first and "190 (95.0 %) kept their label" in first
    assert first.endswith("4 were turned wrong and 6 right")
    assert "100 (50.0 %) kept their label; 60 were turned wrong and 40 right." in second
    nothing = dict.fromkeys(now, 0)
    assert "Of the 0 flagged" in benign_sentence({"measured": nothing, "none stands": nothing})
