// The address of the page that is open. What is another place gets an entry of its own in the browser's history, so that
// Back leads to it; what is only set differently does not.

const KEPT = ["embed", "embed_options"]; // Streamlit's own
const TRIES = 20, PAUSE = 100; // ms

// The page's name in the address; Home has none.
function pageNow(pages) {
  const last = location.pathname.split("/").pop();
  return pages.includes(last) ? last : "";
}

function write({ page, pages, query, place, replace }) {
  if (pageNow(pages) !== page) return false; // Streamlit has still to name the page
  const now = new URLSearchParams(location.search);
  const kept = KEPT.flatMap((name) => now.getAll(name).map((value) => `${name}=${encodeURIComponent(value)}`));
  const wanted = [...kept, query].filter(Boolean).join("&");
  const before = history.state?.place, same = location.search.slice(1) === wanted;
  if (same && before === place) return true;
  const address = location.pathname + (wanted ? `?${wanted}` : "");
  const push = !same && !replace && before !== undefined && before !== place;
  history[push ? "pushState" : "replaceState"]({ place }, "", address);
  return true;
}

export default ({ data }) => {
  let tries = 0, later = null;
  const again = () => {
    if (!write(data) && tries++ < TRIES) later = setTimeout(again, PAUSE);
  };
  again();
  return () => clearTimeout(later);
};
