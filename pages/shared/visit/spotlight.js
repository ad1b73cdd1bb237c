// Rings the part of the page that a tour speaks of, and brings it into sight once a step.

const PAUSE = 250; // ms: a part that waits for a model comes late, and one that is drawn anew is another
const MARGIN = 84; // of Streamlit's bar above the page, and of the ring

let shown = null; // the step whose part was brought into sight

function ring({ key, step }) {
  const target = document.querySelector(`.st-key-${key}`);
  if (!target || target.hasAttribute("data-spotlight")) return;
  unring();
  target.setAttribute("data-spotlight", "");
  if (shown === step) return;
  shown = step;
  const card = document.querySelector(".st-key-tour"); // which stays over the page
  target.style.scrollMarginTop = `${(card?.offsetHeight ?? 0) + MARGIN}px`;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  target.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
}

function unring() {
  document.querySelectorAll("[data-spotlight]").forEach((old) => old.removeAttribute("data-spotlight"));
}

export default ({ data }) => {
  ring(data);
  const again = setInterval(() => ring(data), PAUSE);
  return () => {
    clearInterval(again);
    unring();
  };
};
