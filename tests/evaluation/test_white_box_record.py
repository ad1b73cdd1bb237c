"""What is recorded of attackers who know the defence, read site by site."""

from dataclasses import asdict

import pytest

from core.attacks import AttackSettings
from core.evaluation.white_box.readings import READINGS, reading_report
from core.evaluation.white_box.record import (
    ALL,
    attacker_title,
    measured_balls,
    proven_balls,
    site_reports,
    trade_points,
)
from pages.detect.white_box_words import attacker_rows, site_rows, trade_told, verdicts_told

GROUPS = ["a", "b", "c", "d"]
ATTACKS = {
    "no attack": (AttackSettings(), "...w"),
    "exact pgd linf 64": (AttackSettings("pgd", eps=64, white_box=True), "wwww"),
    "exact pgd linf 8": (AttackSettings("pgd", eps=8, white_box=True), ".w.w"),
    "transfer pgd linf 8": (AttackSettings("pgd", eps=8), "o.aw"),
}


def made(names=tuple(ATTACKS), attacks=ATTACKS):
    """A record of four scans, two at each of two sites."""
    rows = []
    for name in names:
        attack, word = attacks[name]
        reading = reading_report(word, GROUPS)
        rows.append({"name": name, "title": "PGD-40, 8/255", "attack": asdict(attack), "n": 4})
        rows[-1] |= {"readings": dict.fromkeys(READINGS, reading), "undefended": 0.5, "undefended_interval": [0.2, 0.8]}
    scans = {"groups": GROUPS, "sites": ["south", "south", "north", "north"]}
    return {"rows": rows, "scans": scans, "classifier": "resnet18", "seed": 0}


def test_each_scan_meets_the_worst_attack_for_it_at_every_site():
    points = {point.site: point for point in trade_points(made(), "worst", ("linf", 8))}
    assert list(points) == [ALL, "north", "south"]
    shares = {site: [share.value for share in point[1:4]] for site, point in points.items()}
    assert shares == {ALL: [0.75, 0.25, 0.5], "north": [0.5, 0.5, 0.5], "south": [1.0, 0.0, 0.5]}
    assert points[ALL].attacked.n == 4 and points["north"].attacked.n == points[ALL].attackers == 2
    assert points[ALL].knowing == 1 and not points[ALL].proven


def test_one_site_is_not_told_twice():
    record = made()
    record["scans"]["sites"] = ["south"] * 4
    assert [point.site for point in trade_points(record, "worst", ("linf", 8))] == [ALL]


def test_an_attack_that_passed_all_tests_proves_its_ball():
    names = [*ATTACKS, "fewer steps", "answers alone"]
    fewer = AttackSettings("pgd", eps=8, white_box=True, steps=5), "...w"
    asked = AttackSettings("square", eps=8, white_box=True), "...w"
    record = made(names, ATTACKS | {"fewer steps": fewer, "answers alone": asked})
    record["rows"][2]["attack"]["steps"] = 40
    assert ("linf", 8) in proven_balls(record)
    record["rows"][1]["readings"] = dict.fromkeys(READINGS, reading_report("....", GROUPS))
    assert proven_balls(record) == set() and any("withdrawn" in line for line in verdicts_told(record))


@pytest.mark.parametrize("lost", ["no attack", "8/255"])
def test_there_is_no_trade_where_either_side_is_missing(lost):
    kept = [name for name in ATTACKS if name != lost and not (lost == "8/255" and name.endswith(" 8"))]
    assert trade_points(made(kept), "worst", ("linf", 8)) == []


def test_so_far_a_ball_that_nothing_is_left_is_a_test_and_no_row_of_the_trade():
    assert measured_balls(made()) == {("linf", 8): 2}
    assert site_reports(made(), "single", ("l2", 1)) == {}


def test_who_does_not_know_the_defence_is_told_from_the_others():
    titles = [attacker_title(row) for row in made()["rows"]]
    assert titles[2] == "PGD-40, 8/255" and titles[3] == "PGD-40, 8/255, made for the classifier alone"


def test_the_page_says_the_same():
    trade = {"clinical": trade_points(made(), "worst", ("linf", 8))}
    told = trade_told(trade, ("linf", 8))
    assert (
        "ℓ∞ 8/255" in told
        and "clinical **25.0 %** of 4 scans, each under the worst of 2 attacks for it, 1 of them made against" in told
    )
    assert "75.0 % without an attack; not proven" in told
    rows = site_rows(trade)
    assert [row["Site"] for row in rows] == ["All sites", "north", "south"]
    assert rows[2]["Right, attacked"].startswith("0.0 %") and rows[2]["Wrong and unnoticed, attacked"][:4] == "50.0"
    lines = attacker_rows(made(), "single")
    assert [line["Right"][:6] for line in lines] == ["75.0 %", "0.0 % ", "50.0 %", "50.0 %"]
    assert lines[0]["Tests"] == "no test" and lines[2]["Tests"] == "incomplete"
    assert lines[3]["Wrong, flagged"].startswith("25.0 %")
    (line,) = verdicts_told(made())
    assert "incomplete: no row to compare with for more steps or EOT" in line
