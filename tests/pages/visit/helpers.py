"""How the tests of a visit come to an address."""

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from tests.reading import session


def come(app: AppTest, page: str, **words: str) -> AppTest:
    """Come to a page by an address with these words."""
    session(app).visit.arrived = False
    app.query_params.update(words)
    app.switch_page(f"pages/{page}/page.py").run()
    assert not app.exception
    return app


def go_back(app: AppTest, monkeypatch: pytest.MonkeyPatch, page: str, **words: str) -> AppTest:
    """Come to an address by the browser's Back, which Streamlit says of one run."""
    said = iter([True])
    context = "pages.shared.visit.address.get_script_run_ctx"
    monkeypatch.setattr(context, lambda: SimpleNamespace(is_history_navigation=next(said, False)))
    app.query_params.clear()
    app.query_params.update(words)
    app.switch_page(f"pages/{page}/page.py").run()
    return app
