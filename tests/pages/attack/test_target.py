"""The class that an attack drives a scan to."""

from collections.abc import Callable

from streamlit.testing.v1 import AppTest

from core import load_bundle
from core.attacks import AttackSettings
from tests.reading import session

Choose = Callable[[AppTest, str], AppTest]


def test_no_class_is_driven_to_that_is_the_answer_or_of_another_bundle(app: AppTest, choose: Choose) -> None:
    page = choose(app, "tumour-01")
    page.switch_page("pages/attack/page.py").run()
    classes = load_bundle().classes
    answer, other = (
        classes.index(name)
        for name in sorted(classes, key=lambda name: name != session(page).examination.undefended.label)
    )
    session(page).visit.class_view = True  # which offers no other
    for target, left in ((answer, None), (len(classes), None), (other, other)):
        session(page).attack = AttackSettings("pgd", steps=5, target=target)
        page.run()
        assert session(page).attack.target == left and not page.exception
