"""What a test reads from a page that AppTest has run."""

from streamlit.testing.v1 import AppTest

from pages.shared.session import Session


def texts(app: AppTest) -> str:
    """Everything in words on the page, metrics among them, escapes taken out."""
    kinds = (app.title, app.header, app.subheader, app.markdown, app.caption, app.info, app.warning, app.error)
    found = [element.value for kind in (*kinds, app.success, app.code) for element in kind]
    found += [f"{metric.label} {metric.value}" for metric in app.metric]
    return "\n".join(found).replace("\\", "").replace("\u2060", "").replace("\u00a0", " ")


def session(app: AppTest) -> Session:
    """The visitor's state."""
    return app.session_state["session"]


def opened(app: AppTest, page: str, errors: int = 0) -> AppTest:
    """The app on a page, which opens and says so many sentences about what is wrong."""
    app.switch_page(f"pages/{page}/page.py").run()
    assert not app.exception and len(app.error) == errors, page
    return app


def take_bundle(app: AppTest, name: str, page: str) -> AppTest:
    """The app on a page with another model bundle: those without samples are offered in the labs alone."""
    opened(app, "faults")
    app.selectbox(key="bundle").select(name).run()
    assert session(app).bundle == name
    return opened(app, page)
