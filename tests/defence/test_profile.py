"""A site's profile: what it holds, what it leaves alone, and that nothing strange passes for one."""

import json
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from core.bundles import Bundle
from core.defence.conformal import false_alarm_bound
from core.defence.profile import (
    GROUPS,
    NO_BOUND,
    Profile,
    ProfileError,
    check_profile,
    fit_profile,
    groups_of,
    weights_digest,
    with_profile,
    write_profile,
)
from core.defence.profile_file import MOST_BYTES, read_profile

NAME = "resnet18"
DAY = date(2026, 11, 28)


def site(bundle: Bundle, count: int = 60, times: float = 40.0) -> dict[str, np.ndarray]:
    """Scores of a site that lie `times` as far out as those of the bundle's clean scans."""
    clean = bundle.calibrations[NAME].clean
    return {name: times * np.array(values[:count]) for name, values in clean.items()}


@pytest.fixture(scope="module")
def profile(bundle: Bundle) -> Profile:
    return fit_profile(site(bundle), bundle, NAME, DAY)


def test_it_comes_back_from_its_file_as_it_was(profile, tmp_path):
    (tmp_path / "profile.json").write_text(write_profile(profile))
    assert read_profile(tmp_path / "profile.json") == read_profile(write_profile(profile).encode()) == profile


def test_it_holds_numbers_and_what_they_are_for_alone(profile):
    record = json.loads(write_profile(profile))
    assert set(record) == {"kind", "version", "bundle", "classifier", "weights_sha256", "scans", "made", "groups"}
    assert {key for group in record["groups"].values() for key in group} == {
        "alpha", "bound", "confidence", "thresholds",
    }  # fmt: skip


def test_it_says_what_it_promises(profile):
    assert profile.groups["flagged"].bound == false_alarm_bound(60, 0.05)
    assert "at most 5 % are flagged" in profile.promise and "8.6 % with 90 % confidence" in profile.promise


def test_a_private_one_is_no_scans_score_promises_no_bound_and_comes_back(bundle):
    scores = site(bundle, times=3.0)
    private = fit_profile(scores, bundle, NAME, DAY, epsilon=2.0)
    assert read_profile(write_profile(private).encode()) == private and private.epsilon == 2.0
    assert {group.bound for group in private.groups.values()} == {NO_BOUND}
    assert "isn’t promised" in private.promise and "ε = 2" in private.promise
    assert not any(limit in scores[name] for name, limit in private.thresholds.items())
    assert fit_profile(scores, bundle, NAME, DAY, epsilon=2.0).thresholds != private.thresholds
    check_profile(private, bundle)
    for epsilon in (0.0, float("nan"), float("inf")):
        with pytest.raises(ProfileError, match="must be above 0"):
            fit_profile(scores, bundle, NAME, DAY, epsilon=epsilon)
    promising = json.loads(write_profile(private)) | {
        "groups": json.loads(write_profile(fit_profile(scores, bundle, NAME)))["groups"]
    }
    with pytest.raises(ProfileError, match="not a site profile"):
        read_profile(json.dumps(promising).encode())


def test_it_changes_thresholds_and_nothing_else(profile, bundle):
    own, fitted = bundle.limits[NAME], with_profile(bundle, profile).limits[NAME]
    assert fitted.thresholds != own.thresholds and set(fitted.thresholds) == set(own.thresholds)
    assert replace(fitted, thresholds=own.thresholds) == own
    assert fitted.scope_limit == own.scope_limit
    assert with_profile(bundle, profile).modalities == bundle.modalities
    others = set(bundle.limits) - {NAME}
    assert all(with_profile(bundle, profile).limits[name] == bundle.limits[name] for name in others)


def test_no_profile_is_the_bundle_itself(bundle):
    assert with_profile(bundle, None) is bundle


@pytest.mark.parametrize("count", [0, 1, 18])
def test_too_few_scans_are_refused_in_one_sentence(bundle, count):
    with pytest.raises(ProfileError, match=f"^{count} scans are too few: below 19 .*40 or more are advised.$"):
        fit_profile(site(bundle, count), bundle, NAME)


def test_nineteen_scans_will_do_with_a_wider_bound(bundle, profile):
    few = fit_profile(site(bundle, 19), bundle, NAME)
    assert few.groups["flagged"].bound > profile.groups["flagged"].bound


def test_scores_that_are_no_numbers_are_refused(bundle):
    scores = site(bundle)
    scores["amv"][3] = np.nan
    with pytest.raises(ProfileError, match="NaN"):
        fit_profile(scores, bundle, NAME)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"bundle": "blood-cells"}, "for the bundle blood-cells"),
        ({"weights_sha256": "0" * 64}, "other weights"),
        ({"version": 2}, "another version"),
        ({"groups": {}}, "another version"),
        ({"classifier": "mamba"}, "no thresholds yet"),
    ],
)
def test_one_for_something_else_is_refused(profile, bundle, change, reason):
    with pytest.raises(ProfileError, match=reason):
        with_profile(bundle, replace(profile, **change))


def test_one_for_another_classifier_is_refused(profile, bundle):
    with pytest.raises(ProfileError, match="resnet18, not for medfedpure"):
        check_profile(profile, bundle, "medfedpure")
    assert weights_digest(bundle, "medfedpure") != weights_digest(bundle, NAME)


@pytest.fixture
def one_question(bundle: Bundle) -> Bundle:
    """The bundle as if all of its scores raised the alarm, with thresholds that spare light noise."""
    clean = bundle.calibrations[NAME].clean
    thresholds = {name: max(clean[name]) for name in GROUPS["flagged"].shares}
    return replace(bundle, limits={NAME: replace(bundle.limits[NAME], thresholds=thresholds, altered=())})


def test_one_that_lowers_what_calibration_only_raises_is_refused(one_question):
    profile = fit_profile(site(one_question), one_question, NAME)
    assert with_profile(one_question, profile).limits[NAME].thresholds == profile.groups["flagged"].thresholds
    lowered = replace(profile.groups["flagged"], thresholds={**profile.groups["flagged"].thresholds, "amv": 1e-6})
    with pytest.raises(ProfileError, match="lowers"):
        with_profile(one_question, replace(profile, groups={"flagged": lowered}))


def edited(profile: Profile, **changes: object) -> bytes:
    return json.dumps(json.loads(write_profile(profile)) | changes).encode()


def group_with(profile: Profile, **changes: object) -> dict[str, object]:
    return {"flagged": json.loads(write_profile(profile))["groups"]["flagged"] | changes}


HOSTILE = {
    "empty": lambda p: b"",
    "no JSON": lambda p: b"thresholds: none",
    "no object": lambda p: b"[1, 2]",
    "not text": lambda p: b"\xff\xfe\x00",
    "deep": lambda p: b"[" * 40000,
    "huge": lambda p: b" " * (MOST_BYTES + 1),
    "a huge number": lambda p: edited(p, groups=group_with(p, thresholds={"amv": 10**400})),
    "NaN": lambda p: write_profile(p).replace('"alpha": 0.05', '"alpha": NaN').encode(),
    "infinity": lambda p: edited(p, groups=group_with(p, thresholds={"amv": float("inf")})),
    "overflow": lambda p: write_profile(p).replace('"alpha": 0.05', '"alpha": 1e999').encode(),
    "no thresholds": lambda p: edited(p, groups=group_with(p, thresholds={})),
    "text for a threshold": lambda p: edited(p, groups=group_with(p, thresholds={"amv": "3"})),
    "a threshold of 0": lambda p: edited(p, groups=group_with(p, thresholds={"amv": 0})),
    "a threshold below 0": lambda p: edited(p, groups=group_with(p, thresholds={"amv": -0.5})),
    "a better promise": lambda p: edited(p, groups=group_with(p, bound=0.01)),
    "more scans than the bound says": lambda p: edited(p, scans=6000),
    "no scans": lambda p: edited(p, scans=0),
    "half a scan": lambda p: edited(p, scans=60.5),
    "true for a number": lambda p: edited(p, scans=True),
    "an extra field": lambda p: edited(p, scope_limit=1e9),
    "another kind": lambda p: edited(p, kind="bundle"),
    "a day that isn't": lambda p: edited(p, made="2026-02-31"),
    "markup": lambda p: edited(p, classifier="[x](http://example.com)"),
    "a name twice": lambda p: write_profile(p).replace('"version": 1,', '"version": 1, "version": 1,').encode(),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_profile_gives_one_sentence(profile, kind):
    with pytest.raises(ProfileError, match="^This is not a site profile that Purescan wrote: .*[.]$"):
        read_profile(HOSTILE[kind](profile))


def test_a_file_that_isn_t_there_gives_one_sentence(tmp_path):
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ProfileError, match="^The profile can’t be read: .*[.]$"):
            read_profile(path)


def test_every_score_that_flags_is_in_a_group(bundle):
    names = [name for group in groups_of(bundle.limits[NAME]).values() for name in group.shares]
    assert sorted(names) == sorted(bundle.limits[NAME].thresholds)
