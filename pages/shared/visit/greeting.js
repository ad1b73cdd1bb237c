// What this browser remembers: of the tab, which visit it was; of all its tabs, that the notice was read.

const SECRET = "purescan-visit", NOTICE = "purescan-notice-read";

// A browser may forbid that anything is kept: then nothing is remembered.
function allowed(act) {
  try {
    return act() ?? null;
  } catch {
    return null;
  }
}

export default ({ data, setStateValue }) => {
  if (data.missed) return location.replace(new URL(encodeURIComponent(data.missed) + location.search, location.href));
  if (!data.greeted) {
    const secret = allowed(() => sessionStorage.getItem(SECRET)), noticed = allowed(() => localStorage.getItem(NOTICE)) === "yes";
    return setStateValue("browser", { secret, noticed });
  }
  allowed(() => sessionStorage.setItem(SECRET, data.secret));
  if (data.noticed) allowed(() => localStorage.setItem(NOTICE, "yes"));
};
