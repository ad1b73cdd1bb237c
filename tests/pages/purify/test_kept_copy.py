"""The attacked copy that is kept opens again only for the slice, the window and the models that it was made with."""

from types import SimpleNamespace

import pytest

from core.attacks import PGD
from pages.purify import start
from pages.shared import examinations, tours
from pages.shared.examinations import attacked_otherwise
from pages.shared.session import AttackedCopy, Session
from pages.shared.visit import address, opened_scan

SLICES = 20


def volume(key: str = "volume") -> SimpleNamespace:
    return SimpleNamespace(key=key, default_frame=4, frame_count=SLICES)


@pytest.fixture
def visitor() -> Session:
    """A visitor who has attacked slice 5 of a volume on the Attack page."""
    session = Session(attack=PGD)
    session.take(volume())
    keep_copy(session)
    return session


def keep_copy(session: Session) -> AttackedCopy:
    """Keep a copy of what is open, as the Attack page does."""
    before = SimpleNamespace(frame_index=session.frame)
    made = AttackedCopy(volume("copy"), before, session.target_choices(), PGD, 0)  # type: ignore[arg-type]
    session.attacked_copy = made
    return made


def test_purify_opens_the_copy_with_the_slice_that_was_attacked(visitor: Session) -> None:
    copy = visitor.attacked_copy
    start.take_attacked(visitor)
    assert visitor.scan is copy.scan and visitor.origin_examination is copy.before
    assert (visitor.origin.key, visitor.origin_frame, visitor.attacked_copy) == ("volume", 4, copy)


@pytest.mark.parametrize(
    "chosen",
    [
        {"frame": 8},
        {"window": "bone"},
        {"seed": 3},
        {"classifier": "vit"},
        {"profile": SimpleNamespace(key="a ward's")},
    ],
    ids=lambda chosen: next(iter(chosen)),
)
def test_purify_drops_a_copy_of_something_else(visitor: Session, chosen: dict[str, object]) -> None:
    vars(visitor).update(chosen)
    start.take_attacked(visitor)
    assert visitor.origin is None and visitor.scan.key == "volume" and visitor.attacked_copy is None


@pytest.fixture
def two(visitor: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    """The visitor on Examine, the copy open, in a bundle of the classifiers resnet18 and vit."""
    models = SimpleNamespace(default_classifier="resnet18", classifier_name=lambda name: name or "resnet18")
    for module in (examinations, address):
        monkeypatch.setattr(module, "bundle", lambda name: models)
    visitor.visit.page = "examine"
    start.take_attacked(visitor)
    return visitor


def test_an_address_attacks_only_what_it_would_attack_to_the_same_pixels(two: Session) -> None:
    assert address.address_words(two)["attacked"] == "yes"
    two.classifier = "resnet18"  # which no classifier stands for
    assert address.address_words(two)["attacked"] == "yes" and attacked_otherwise(two) is None
    two.classifier = "vit"
    assert address.address_words(two)["attacked"] == "otherwise"
    assert attacked_otherwise(two) == "the classifier resnet18"
    two.bundle = "chest-xray"
    assert attacked_otherwise(two) == "the default classifier of the bundle brain-mri"


def test_a_tour_attacks_a_copy_anew_that_was_made_to_deceive_another(two: Session) -> None:
    assert tours._attacked_as_told(two)
    two.classifier = "vit"
    assert not tours._attacked_as_told(two)


def test_an_address_that_cannot_make_the_copy_again_says_so(visitor: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened_scan, "attack", lambda *_: pytest.fail("It was attacked."))
    visitor.visit.asked = {"attacked": "otherwise"}
    opened_scan.place_as_asked(visitor)
    assert visitor.origin is None and "made to deceive another classifier" in str(visitor.visit.problem)


def test_the_result_before_has_the_thresholds_of_now(visitor: Session) -> None:
    """Under a site's profile, what was found under the bundle's thresholds isn't put back."""
    start.take_attacked(visitor)
    visitor.choose_profile(SimpleNamespace(key="a ward's"))  # type: ignore[arg-type]
    visitor.take(visitor.origin, attacked_copy=True)
    start.take_attacked(visitor)
    assert visitor.origin_examination is None


@pytest.mark.parametrize("asked, again", [(5, False), (9, True)])
def test_an_address_gets_the_copy_of_its_slice(
    visitor: Session, monkeypatch: pytest.MonkeyPatch, asked: int, again: bool
) -> None:
    """Slice 5 was attacked last, and Forward leads to an attacked copy of this slice."""
    attacked: list[int] = []
    monkeypatch.setattr(opened_scan, "attack", lambda session, *_: attacked.append(session.frame + 1))
    visitor.visit.asked = {"slice": str(asked), "attacked": "yes"}
    opened_scan.place_as_asked(visitor)
    assert attacked == [asked] * again and (visitor.origin is None) == again
