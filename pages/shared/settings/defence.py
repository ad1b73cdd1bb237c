"""Which policy, classifier, seed and thresholds: every change is another examination."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from pages.shared.examinations import profile_in_force
from pages.shared.runtime import bundle
from pages.shared.session import Session, current_session, forget_problem
from pages.shared.uploads import refusal
from pages.shared.words import heading, plain, unbroken

if TYPE_CHECKING:
    from core import Bundle

SHIPPED, PROFILE = "As shipped", "Site profile"


def draw_policy(session: Session) -> None:
    """Which policy decides, where the bundle has more than one."""
    from core.bundles import POLICIES, policy_classifiers, policy_of

    models = bundle(session.bundle)
    offered = [policy for policy, name in policy_classifiers(models).items() if name in models.examining]
    if len(offered) < 2:
        return
    # The state is the truth and the widget mirrors it: an address and the classifier on Examine change it as well.
    st.session_state["policy"] = now = policy_of(models, models.classifier_name(session.classifier))
    st.segmented_control(
        "Policy", offered, key="policy", format_func=heading, required=True, width="stretch", on_change=_policy_chosen
    )
    st.caption(f"{heading(POLICIES[now])}.")


def _policy_chosen() -> None:
    from core.bundles import classifier_under

    session = current_session()
    if chosen := st.session_state["policy"]:
        session.classifier = classifier_under(bundle(session.bundle), chosen)
        forget_problem()


def draw_settings(session: Session, models: Bundle) -> None:
    """The seed, and the classifier where more than one can be asked under the policy."""
    from core.bundles import policy_of

    current = models.classifier_name(session.classifier)
    names = [name for name in models.examining if policy_of(models, name) == policy_of(models, current)]
    if len(names) > 1:
        # As above: an address, the policy and the Experts page change it as well.
        key = f"classifier-{models.name}"
        st.session_state[key] = current if current in names else None
        st.selectbox("Classifier", names, None, key=key, required=True, on_change=_classifier_chosen, args=(key,))
    about = "Draws the detector's and the purifier's noise."
    seed = st.number_input("Seed", 0, 2**31 - 1, session.seed, key="seed", help=about, on_change=forget_problem)
    session.seed = int(seed)


def _classifier_chosen(key: str) -> None:
    if chosen := st.session_state[key]:
        current_session().classifier = chosen
        forget_problem()


def draw_profile(session: Session) -> None:
    """Which thresholds the detector takes: the bundle's, or those of a site's profile."""
    if bundle(session.bundle).lacks:
        return
    known = session.loaded_profile
    # The state is the truth and the widget mirrors it: the Detect page changes the choice as well.
    st.session_state["thresholds"] = PROFILE if session.profile else SHIPPED
    shipped = "None yet" if bundle(session.bundle).lacks_for(session.classifier) else SHIPPED
    st.selectbox(
        "Detector thresholds",
        [SHIPPED, *([PROFILE] if known else [])],
        None,
        key="thresholds",
        required=True,
        format_func=lambda choice: f"{PROFILE}, {known.scans} scans" if known and choice == PROFILE else shipped,
        on_change=_thresholds_chosen,
    )
    if session.profile:
        st.caption(_about_profile(session))
    with st.popover("Load a site profile", icon=":material/tune:", width="stretch"):
        st.markdown(
            "A profile holds the thresholds that fit one site’s scans. Make one on the Detect page, under “Your "
            "scanner”, or with `python -m core calibrate`."
        )
        st.file_uploader("Site profile (JSON)", type="json", key="profile-file", on_change=_profile_uploaded)
        if session.profile_problem:
            kept = "The profile that was in use stays in use." if session.profile else "Thresholds stay as shipped."
            st.error(f"{plain(session.profile_problem)} {kept}", icon=":material/error:")


def _about_profile(session: Session) -> str:
    profile = session.profile
    assert profile is not None
    if profile_in_force(session) is None:
        return (
            f"Not in use here: this profile is for the classifier {plain(profile.classifier)} of the bundle "
            f"{plain(profile.bundle)}, so the thresholds are as shipped."
        )
    return f"Fitted on {profile.scans} scans on {profile.made:%-d %B %Y}. {unbroken(profile.promise)}"


def _thresholds_chosen() -> None:
    session = current_session()
    if chosen := st.session_state["thresholds"]:
        session.choose_profile(session.loaded_profile if chosen == PROFILE else None)
        forget_problem()


def _profile_uploaded() -> None:
    from core.defence.profile import ProfileError, check_profile
    from core.defence.profile_file import read_profile

    session, file = current_session(), st.session_state["profile-file"]
    session.profile_problem = refusal([file]) if file else None
    if file is None or session.profile_problem:
        return
    try:
        profile = read_profile(bytes(file.getbuffer()))
        check_profile(profile, bundle(session.bundle))
        session.choose_profile(profile)
    except ProfileError as error:
        session.profile_problem = str(error)
