// Rings the part of the page that a tour speaks of, and brings it into sight once a step.

const PAUSE = 250; // ms: a part that waits for a model comes late, and one that is drawn anew is another
const REST = 3; // pauses without change, after which the page has come to rest
const TOP = 84, BOTTOM = 24; // pixels: Streamlit's bar above the page, and room for the ring
const HANDS = ["wheel", "touchmove", "pointerdown", "keydown"]; // by which a visitor goes where he likes
const STOP = Symbol.for("purescan-spotlight"); // under which the document keeps how to end what was begun here last

let led = null; // the step that needs no leading any more

const part = (key) => document.querySelector(`.st-key-${key}`);
const drawn = () => document.querySelector("[data-testid=stApp]")?.dataset.testScriptState === "notRunning";

function ring(target) {
  if (!target || target.hasAttribute("data-spotlight")) return;
  unring();
  target.setAttribute("data-spotlight", "");
}

function unring() {
  document.querySelectorAll("[data-spotlight]").forEach((old) => old.removeAttribute("data-spotlight"));
}

function lead(target, edge) {
  target.style.scrollMarginTop = `${(part("tour")?.offsetHeight ?? 0) + TOP}px`; // the card stays over the page
  target.style.scrollMarginBottom = `${BOTTOM}px`;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  target.scrollIntoView({ block: edge, behavior: still ? "auto" : "smooth" });
}

export default ({ data: { key, edge, step } }) => {
  document[STOP]?.(); // the browser calls again with each step, and the last one would go on
  let before = null, rested = 0;
  const look = () => {
    const target = part(key);
    ring(target);
    if (!target || led === step) return;
    const { top } = target.getBoundingClientRect();
    rested = top === before && drawn() ? rested + 1 : 0;
    if (top === before) lead(target, edge); // again and again, as what is drawn above it meanwhile moves it
    before = top;
    if (rested > REST) led = step;
  };
  const leave = () => (led = step);
  HANDS.forEach((type) => document.addEventListener(type, leave, { capture: true, passive: true }));
  look();
  const again = setInterval(look, PAUSE);
  const stop = () => {
    clearInterval(again);
    HANDS.forEach((type) => document.removeEventListener(type, leave, true));
    unring();
  };
  document[STOP] = stop;
  return stop;
};
