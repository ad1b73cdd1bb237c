"""What the page on detection says of benign changes."""

from training.publish.detection import attack_table, benign_sentence, benign_table, site_table


def row(condition="pgd 8/255", **more):
    """A row of a record, of one attack, or of none."""
    method = condition.split()[0] if condition != "clean" else None
    kind = "attacked" if method else "clean"
    shares = {f"{kind}_accuracy": 0.5, f"defended_{kind}_accuracy": 0.75, f"flagged_{kind}": 0.25} | more
    intervals = dict.fromkeys(shares, [0.0, 1.0])
    separation = {"auc": 0.9, "auc_interval": [0.8, 1.0]}
    report = {"n": 8, "detection": dict.fromkeys(("mae_error", "amv", "instability"), separation), "ssim_purified": 0.9}
    report |= {"flagged_successful": 0.5, **shares, "intervals": intervals}
    report["settings"] = {"command": "python -m core evaluate", "attack": {"method": method, "eps": 8}}
    return {"title": condition, "condition": condition, "report": report}


def test_a_record_of_one_question_and_one_site_has_the_columns_that_it_had():
    head = attack_table("about", [row()])[2]
    assert "altered" not in head and "of right" not in head and site_table([row("clean"), row()]) == []


def test_what_several_sites_and_two_questions_add_is_tabulated():
    one = row(defended_attacked_of_right=0.8, altered_attacked=1.0)
    one["report"]["detection"] |= dict.fromkeys(("agreement", "altered"), {"auc": 0.99, "auc_interval": [0.98, 1.0]})
    text = "\n".join(attack_table("about", [one]))
    assert "| of right | altered |" in text and "`agreement`" in text and "80.0 %" in text and "0.990" in text
    own = {"n": 4, "attacked_accuracy": 0.5, "altered_attacked": 1.0}
    one["report"]["sites"] = {"north": own | {"intervals": {name: [0.25, 1.0] for name in own if name != "n"}}}
    lines = site_table([row("clean"), one])
    assert [line for line in lines if "north" in line] == [
        "| pgd 8/255 | north | 4 | 50.0 % (25.0–100.0) | – | – | – | 100.0 % (25.0–100.0) |"
    ]


def test_labels_are_kept_of_what_was_purified_not_of_what_was_flagged_alone():
    text = "\n".join(benign_table([row("gamma", flagged_label_kept=0.5)]))
    assert "| label kept, of those purified |" in text and "flagged or called altered" in text


def test_the_sentence_on_benign_changes():
    now = {"flagged": 200, "kept": 190, "turned_wrong": 4, "turned_right": 6}
    otherwise = {"flagged": 200, "kept": 100, "turned_wrong": 60, "turned_right": 40}
    first, second = benign_sentence({"measured": now, "none stands": otherwise}).split(". If")
    assert "Of the 200 purified and not refused" in first and "flagged" not in first
    assert "190 (95.0 %) kept their label" in first
    assert first.endswith("4 were turned wrong and 6 right")
    assert "100 (50.0 %) kept their label; 60 were turned wrong and 40 right." in second
    nothing = dict.fromkeys(now, 0)
    assert "Of the 0 purified" in benign_sentence({"measured": nothing, "none stands": nothing})


def test_of_a_classifier_that_answers_alone_nothing_is_said_to_be_purified():
    rows = [row("gamma", flagged_label_kept=None)]
    assert "nothing is purified" in "\n".join(benign_table(rows, alone=True))
    assert "is purified, and its label" in "\n".join(benign_table(rows))
