// The view for a class: its look, as a class of the document that the style sheet knows, and its keys.

const TYPED_IN = "textarea, select, input:not([type=radio], [type=checkbox], [type=range]), [role=slider]";
const AT_ONCE = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"]; // go on while they are held
const SECTION = { ArrowLeft: -1, ArrowRight: 1 };
const STOP = Symbol.for("purescan-classroom"); // under which the document keeps how to end what was begun here last
const COLOURS = ["background-color", "secondary-background-color", "border-color", "primary-color"].map((name) => `--st-${name}`); // of the theme
const PAUSE = 200, LEAST = 240, MARGIN = 6; // ms; pixels

const button = (key) => document.querySelector(`.st-key-${key} button:not(:disabled)`);

// The next of the choices, or the one before; whether there is one.
function turn(choices, by, around = false) {
  const all = [...choices], now = all.findIndex((one) => one.getAttribute("aria-checked") === "true");
  const next = all[around && now + by === all.length ? 0 : now + by];
  next?.click();
  return Boolean(next);
}

// The stage is as high as what is left of the screen below what stands above it.
function fit() {
  const stage = document.querySelector(".st-key-stage, .st-key-stage-live"), page = document.querySelector("[data-testid=stMain]");
  if (!stage) return;
  const top = stage.getBoundingClientRect().top + (page?.scrollTop ?? 0);
  const foot = document.querySelector(".st-key-class-bar")?.offsetHeight ?? 0;
  document.documentElement.style.setProperty("--stage", `${Math.max(innerHeight - top - foot - MARGIN, LEAST)}px`);
}

function press(key, { buttons, pages, comparison, sections, cycles }, open) {
  if (comparison.includes(key) && document.querySelector(".st-key-comparison")) return false;
  const found = (buttons[key] ?? []).map(button).find(Boolean);
  if (found) found.click();
  else if (key in SECTION && sections.length) sections.some((name) => turn(document.querySelectorAll(`.st-key-${name} button`), SECTION[key]));
  else if (cycles[key]) turn(document.querySelectorAll(`[class*=st-key-${cycles[key]}] button`), 1, true);
  else if (pages[key]) open(pages[key]);
  else return key === " "; // which would scroll the page
  return true;
}

export default ({ data, parentElement, setTriggerValue }) => {
  const { classList, style } = document.documentElement;
  classList.toggle("class-view", data.on);
  for (const name of COLOURS) style.setProperty(name, getComputedStyle(parentElement).getPropertyValue(name));
  document[STOP]?.(); // with two listeners, each key would do twice what it does
  if (!data.on) return;
  const listen = (event) => {
    const [target] = event.composedPath(), key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (target.isContentEditable || target.matches?.(TYPED_IN) || document.querySelector("[role=dialog]")) return;
    if (event.repeat && !AT_ONCE.includes(key)) return;
    if (!press(key, data, (page) => setTriggerValue("page", page))) return;
    event.preventDefault();
    event.stopPropagation();
  };
  document.addEventListener("keydown", listen, true);
  fit();
  const again = setInterval(fit, PAUSE);
  const stop = () => {
    clearInterval(again);
    document.removeEventListener("keydown", listen, true);
  };
  document[STOP] = stop;
  return stop;
};
