"""Across tasks, in the app: bundles with and without a defence, and one that is damaged."""

from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.bundles import WEIGHTS
from core.report.across import recorded_task
from pages.across.findings import alarms_line, answers_line, detection_line
from pages.across.tables import ANSWERS, DETECTION
from tests.reading import opened, session, texts
from tests.two_questions import write_bundle
from training.files import read_facts, write_facts

DEFENDED, BARE, DAMAGED = "tiny-across", "tiny-bare", "tiny-damaged"
NAMES = {"brain-mri": "Brain MRI", DEFENDED: "Tiny scans of two sites"}
SECTIONS = {"Right answers": answers_line, "Detection": detection_line}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    (folder / "brain-mri").symlink_to(WEIGHTS / "brain-mri", target_is_directory=True)
    write_bundle(folder, DEFENDED)
    bare = write_bundle(folder, BARE)
    facts = {name: entry for name, entry in read_facts(bare).items() if name not in ("mae", "unet")}
    write_facts(bare, facts | {"title": "Bare: this or that"})
    (write_bundle(folder, DAMAGED) / "calibration.json").write_text("{}")
    return folder


@pytest.fixture
def page(weights: Path, app: AppTest, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], AppTest]:
    """Open a section of the page."""
    monkeypatch.setattr("core.bundles.loading.WEIGHTS", weights)

    def open_section(section: str) -> AppTest:
        opened(app, "across")
        app.segmented_control(key="across-section").set_value(section).run()
        assert not app.exception and not app.error
        return app

    return open_section


@pytest.mark.slow
@pytest.mark.parametrize("section", SECTIONS)
def test_every_task_with_a_defence_gets_its_line(page: Callable[[str], AppTest], section: str) -> None:
    said = texts(page(section)).replace("\\", "")
    for name in NAMES:
        task = recorded_task(name)
        assert SECTIONS[section](task, task.attacks["pgd 8/255"], NAMES).replace("\\", "") in said
    assert "of 2 tasks" in said or section == "Detection"


@pytest.mark.slow
def test_alarms_need_no_attack(page: Callable[[str], AppTest]) -> None:
    app = page("False alarms")
    assert "across-attack" not in {box.key for box in app.selectbox}
    assert all(alarms_line(recorded_task(name), NAMES) in texts(app) for name in NAMES)


@pytest.mark.slow
def test_who_has_no_defence_is_named_with_the_reason_and_who_is_damaged_too(page: Callable[[str], AppTest]) -> None:
    app = page("Right answers")
    assert f"**Bare**: {recorded_task(BARE).lacks}" in texts(app)
    (warning,) = app.warning
    assert DAMAGED in warning.value.replace("\\", "") and "is not the file" in warning.value


@pytest.mark.slow
def test_an_attack_that_not_every_task_has_is_shown_of_those_that_have_it(page: Callable[[str], AppTest]) -> None:
    app, only = page("Right answers"), recorded_task("brain-mri").attacks.keys() - recorded_task(DEFENDED).attacks
    app.selectbox(key="across-attack").select(sorted(only)[0]).run()
    assert not app.exception and "of 1 tasks" in texts(app)
    assert "is not recorded of Tiny scans of two sites" in texts(app)


@pytest.mark.slow
def test_every_figure_names_its_command(page: Callable[[str], AppTest]) -> None:
    said = texts(page("Right answers"))
    task = recorded_task("brain-mri")
    assert f"n = {task.n} scans of the validation split, classifier {task.classifier}" in said
    assert all(attacked.command in said for attacked in task.attacks.values())


@pytest.mark.slow
@pytest.mark.parametrize("section", ["right-answers", "detection", "false-alarms"])
def test_a_class_sees_one_sentence_and_one_picture(page: Callable[[str], AppTest], app: AppTest, section: str) -> None:
    session(app).visit.class_view = True
    session(app).visit.asked["section"] = section
    opened(app, "across")
    assert session(app).visit.stage.told and session(app).visit.stage.shown


@pytest.mark.slow
@pytest.mark.parametrize(("section", "columns"), [("Right answers", ANSWERS), ("Detection", DETECTION)])
def test_tables_hold_every_attack_and_none(
    page: Callable[[str], AppTest], section: str, columns: tuple[str, ...]
) -> None:
    _, *own = [table.value for table in page(section).table]
    for name, table in zip(NAMES, own, strict=True):
        assert list(table.columns) == ["Attack", *columns]
        assert len(table) == 1 + len(recorded_task(name).attacks)


@pytest.mark.slow
def test_a_record_that_has_changed_is_read_anew(page: Callable[[str], AppTest], weights: Path) -> None:
    app, facts = page("False alarms"), read_facts(weights / BARE)
    assert "Bare" in texts(app) and "Renamed" not in texts(app)
    write_facts(weights / BARE, facts | {"title": "Renamed: this or that"})
    said = texts(app.run())
    write_facts(weights / BARE, facts)
    assert "Renamed" in said and "**Bare**" not in said
