// Regions of interest on the acquired plane: those that the server knows, and the one that is being drawn. Places are
// [column, row] in pixels of the slice, from the corner of the first one, whatever zoom and window show of them.

const SHAPES = { ellipse: "Ellipse", polygon: "Polygon" };
const HINTS = {
  ellipse: "Drag from corner to corner. With keys: Enter sets one, arrows move it, Shift and arrows stretch it, Enter takes it. Esc cancels.",
  polygon: "Click the corners; a click on the first, a double click or Enter closes. With keys: arrows move the pen, Space sets a corner. Esc cancels.",
};
const LINE = "#4de1ff", CASING = "#000";
const LEAST_PIXELS = 4; // on the screen: anything less was no drag
const NEAR_PIXELS = 10; // on the screen: so near the first corner a click closes a polygon
const MOST_CORNERS = 300;
const ROUND = 64; // corners that an ellipse is drawn with

class Pen {
  constructor(size, tell) {
    this.size = size; // columns, rows
    this.tell = tell;
    this.known = {};
  }

  take(outlines) {
    this.known = outlines ?? {};
    this.sent = null; // the server has answered: what it knows is drawn
  }

  has(slice) {
    return Boolean(this.known[slice]);
  }

  cancel() {
    const had = Boolean(this.draft);
    this.draft = null;
    return had;
  }

  press(shape, place, slice) {
    if (shape === "ellipse") this.draft = { shape, slice, points: [place, place] };
    else if (this.draft?.shape !== shape) this.draft = { shape, slice, points: [place], next: place };
    else this.corner(place);
  }

  // Whether a click here closes the polygon: a finger has no double click.
  closes(view, [x, y]) {
    if (this.draft?.shape !== "polygon" || this.draft.points.length < 3) return false;
    const first = view.pixel(this.draft.points[0]);
    return Math.hypot(x - first[0], y - first[1]) <= NEAR_PIXELS;
  }

  // A double click is two clicks at one place: the second sets no corner.
  corner(place) {
    const { points } = this.draft, last = points.at(-1);
    if (points.length < MOST_CORNERS && (place[0] !== last[0] || place[1] !== last[1])) points.push(place);
    this.draft.next = place;
  }

  move(place) {
    if (this.draft?.shape === "ellipse") this.draft.points[1] = place;
    else if (this.draft) this.draft.next = place;
  }

  finish() {
    const { draft } = this;
    if (!draft || (draft.shape === "polygon" && draft.points.length < 3)) return false;
    this.draft = null;
    this.sent = draft;
    this.tell({ shape: draft.shape, slice: draft.slice, points: draft.points });
    return true;
  }

  remove(slice) {
    if (this.has(slice)) this.tell({ shape: "none", slice });
  }

  // Without a mouse: what a key does to the draft; whether it was one of the pen's keys.
  key(shape, { key, shiftKey }, slice) {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
    if (key === "Escape") return this.cancel();
    if (key === "Delete" || key === "Backspace") return this.remove(slice) ?? true;
    if (!shape) return false;
    if (key === "Enter") return this.draft ? "finish" : this.begin(shape, slice);
    if (!this.draft) return false;
    if (key === " " && shape === "polygon") return this.corner(this.draft.next) ?? true;
    if (by) this.nudge(by.map((step, axis) => step * Math.max(this.size[axis] / 100, 1)), shiftKey);
    return Boolean(by);
  }

  begin(shape, slice) {
    const [middle, tenth] = [2, 10].map((part) => this.size.map((length) => length / part));
    const corner = (sign) => middle.map((at, axis) => at + sign * tenth[axis]);
    this.draft = shape === "ellipse"
      ? { shape, slice, points: [corner(-1), corner(1)] }
      : { shape, slice, points: [middle], next: middle };
    return true;
  }

  nudge(step, stretch) {
    const moved = (place) => place.map((at, axis) => Math.min(Math.max(at + step[axis], 0), this.size[axis]));
    const { draft } = this;
    if (draft.shape === "polygon") draft.next = moved(draft.next);
    else draft.points = stretch ? [draft.points[0], moved(draft.points[1])] : draft.points.map(moved);
  }

  draw(context, view, slice) {
    view.within(context, () => {
      traceAll(context, view, this.known[slice] ?? []);
      for (const own of [this.sent, this.draft]) if (own?.slice === slice) trace(context, view, borderOf(own, own === this.draft), true);
      if (this.draft?.slice === slice && this.draft.next)
        for (const place of [this.draft.points[0], this.draft.next]) mark(context, view.pixel(place));
    });
  }
}

function borderOf({ shape, points, next }, open) {
  if (shape === "polygon") return [...points, open ? next : points[0]];
  const [middle, radii] = [1, -1].map((sign) => points[0].map((at, axis) => (at + sign * points[1][axis]) / 2));
  return Array.from({ length: ROUND + 1 }, (_, step) => {
    const angle = (2 * Math.PI * step) / ROUND;
    return [middle[0] + radii[0] * Math.cos(angle), middle[1] + radii[1] * Math.sin(angle)];
  });
}

// A region's borders and, unless another picture bears it, its name.
function traceAll(context, view, lines, named = true) {
  for (const line of lines) trace(context, view, line, false);
  if (named && lines.length) name(context, view, lines);
}

// Bright on a dark casing: it stands out of black, of white, and of any map. What isn't taken yet is dashed.
function trace(context, view, line, dashed) {
  context.beginPath();
  line.forEach((place, step) => context[step ? "lineTo" : "moveTo"](...view.pixel(place)));
  for (const [width, colour] of [[5, CASING], [2.5, LINE]]) {
    context.setLineDash(dashed && colour === LINE ? [7, 5] : []);
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
  }
  context.setLineDash([]);
}

function name(context, view, lines) {
  const top = lines.flat().reduce((one, other) => (other[1] < one[1] ? other : one));
  const [x, y] = view.pixel(top);
  write(context, "Region", x, Math.max(y - 14, view.box.top + 38), "center");
}

function mark(context, [x, y]) {
  context.beginPath();
  context.moveTo(x - 7, y), context.lineTo(x + 7, y), context.moveTo(x, y - 7), context.lineTo(x, y + 7);
  context.lineWidth = 2;
  context.strokeStyle = LINE;
  context.stroke();
}
