// The viewer: what the reader does with a volume. Turning the wheel asks nobody; only "Examine this slice" does.

const DOUBLE_CLICK = 600; // ms
const KEYS = { measure: "m", ellipse: "e", polygon: "g", remove: "Delete", across: "p", reset: "r", outline: "o" };

class Viewer extends Screen {
  constructor(root) {
    super(root);
    this.strip = new Strip(root, (slice) => this.moveTo(0, slice));
    this.slider = root.querySelector(".slice");
    this.slider.addEventListener("input", () => this.moveTo(0, Number(this.slider.value) - 1));
    this.over = root.querySelector(".over");
    this.over.addEventListener("input", () => this.draw());
    this.outline = true;
    this.across = false; // all three planes, or the acquired one alone
    root.querySelector(".ask").addEventListener("click", () => this.examine());
  }

  async show(data) {
    this.data = data;
    const fresh = await this.fetchVolume(data.volume);
    if (fresh === null || !this.volume) return;
    if (fresh) {
      this.place = this.volume.shape.map((size) => Math.floor(size / 2));
      this.resetLook();
      this.ruler = null;
      this.shownSlice = null;
      this.pen = new Pen([this.volume.shape[2], this.volume.shape[1]], (region) => this.trigger("region", region));
      this.fillToolbar();
    }
    if (this.shownSlice !== data.slice) this.shownSlice = this.place[0] = data.slice;
    if (JSON.stringify(this.asked) !== JSON.stringify(data.window)) this.takeWindow(data.window);
    this.pen.take(data.outlines);
    await this.takeOverlay(data.overlay);
    this.draw();
  }

  takeWindow(window) {
    this.asked = window;
    this.window = window;
    this.brightness = null;
  }

  async takeOverlay(facts) {
    if (!facts) this.overlay = null;
    else if (this.overlay?.facts.url !== facts.url) this.overlay = await Overlay.from(facts);
    else this.overlay.facts = facts;
  }

  // The toolbar

  fillToolbar() {
    const bar = this.root.querySelector(".tools");
    if (this.tool === "window") this.tool = this.usualTool;
    bar.replaceChildren();
    const choice = document.createElement("select");
    choice.setAttribute("aria-label", "Window of the picture");
    this.data.volume.windows.forEach((window, index) => choice.add(new Option(window.name, index)));
    const own = new Option("Custom", "");
    own.disabled = true;
    choice.add(own);
    choice.onchange = () => this.setWindow(this.data.volume.windows[choice.value]);
    this.choice = choice;
    bar.append(choice);
    this.buttons = {};
    const add = (key, name, act) => this.addButton(bar, key, name, act, KEYS[key]);
    for (const [tool, name] of Object.entries({ ...TOOLS, ...(this.data.regions ? SHAPES : {}) }))
      if (tool !== "window" || this.usualTool === tool) add(tool, name, () => this.setTool(tool));
    if (this.data.regions) {
      add("outline", "Outline", () => this.setOutline(!this.outline));
      add("remove", "Remove region", () => this.pen.remove(this.place[0]));
    }
    if (this.volume.shape[0] > 1 && this.volume.measured && this.volume.channels === 1)
      add("across", "Three planes", () => this.setAcross(!this.across));
    add("reset", "Reset", () => this.reset());
    this.slider.max = this.volume.shape[0];
    this.slider.hidden = this.volume.shape[0] === 1;
    this.mark();
  }

  mark() {
    for (const tool of Object.keys({ ...TOOLS, ...SHAPES })) this.setPressed(tool, this.tool === tool);
    this.setPressed("across", this.across);
    this.setPressed("outline", this.outline);
    const hint = this.root.querySelector(".hint");
    hint.textContent = HINTS[this.tool] ?? "";
    hint.hidden = !HINTS[this.tool];
  }

  setTool(tool) {
    this.pen.cancel();
    if (SHAPES[tool]) this.outline = true; // or nobody would see what he draws
    super.setTool(tool);
    if (SHAPES[tool]) this.canvas.focus({ preventScroll: true });
  }

  setOutline(outline) {
    this.outline = outline;
    this.mark();
    this.draw();
  }

  finishRegion() {
    if (!this.pen.finish()) return;
    this.finished = performance.now();
    this.setTool(this.usualTool);
  }

  // The second click of a double click on the first corner comes when the polygon is closed already.
  doubleClick() {
    if (SHAPES[this.tool]) this.finishRegion();
    else if (performance.now() - (this.finished ?? -Infinity) > DOUBLE_CLICK) this.reset();
  }

  setAcross(across) {
    this.across = across;
    this.resetLook();
    this.mark();
    this.draw();
  }

  reset() {
    this.resetLook();
    this.ruler = null;
    this.setWindow(this.data.window);
  }

  // Pictures

  drawNow() {
    const paper = this.paper();
    if (!paper) return;
    const { context, width, height } = paper, over = this.drawOverlayBar();
    this.views = boxes(width, height, this.across).map((box, number) => {
      const view = new View(this.planes[number], box, this.volume, this.looks[number]);
      view.number = number;
      const picture = this.volume.plane(view.plane, this.place[view.plane.through], this.brightness);
      view.draw(context, picture, number === 0 ? over : null);
      return view;
    });
    if (this.across) this.drawCross(context);
    if (this.outline) this.pen.draw(context, this.views[0], this.place[0]);
    if (this.ruler?.slice === this.place[this.planes[this.ruler?.view ?? 0].through]) this.drawRuler(context);
    this.tell(context, width, height);
    this.canvas.dataset.slice = this.place[0];
  }

  // What lies over this slice, and beneath it what its colours stand for and how much of it is seen.
  drawOverlayBar() {
    const own = this.overlay?.facts.slice === this.place[0] ? this.overlay : null;
    this.over.hidden = this.root.querySelector(".bar").hidden = !own;
    if (!own) return null;
    const [opacity, from] = ["opacity", "threshold"].map((name) => this.over.querySelector(`.${name}`).value / 100);
    drawBar(this.root, own.facts, from);
    const { limit } = own.facts;
    this.over.querySelector("output").textContent = from ? `hides what is below ${rounded(from * limit)}` : "";
    return { picture: own.picture(from), opacity };
  }

  drawCross(context) {
    context.strokeStyle = "#ffd24d";
    context.lineWidth = 1;
    for (const view of this.views) {
      const { left, top, width, height } = view.box, [x, y] = view.point(this.place);
      view.within(context, () => {
        context.beginPath();
        context.moveTo(x, top), context.lineTo(x, top + height), context.moveTo(left, y), context.lineTo(left + width, y);
        context.stroke();
      });
    }
  }

  // What the picture shows, in words: on the picture, beside the slider, and for a screen reader.
  tell(context, width, height) {
    const count = this.volume.shape[0], slice = `Slice ${this.place[0] + 1} of ${count}`;
    const grey = this.volume.channels === 1;
    // At the foot it would lie over the letter of a plane.
    this.writeWindow(context, this.across ? 74 : height);
    write(context, slice, 10, 16);
    if (this.across && grey) write(context, `Value ${rounded(this.volume.value(this.place))}`, 10, 38);
    const turned = this.place[0] !== this.data.slice, answered = turned ? `Answer: slice ${this.data.slice + 1}` : "";
    write(context, answered, width - 10, 16, "right");
    this.slider.value = this.place[0] + 1;
    this.strip.draw(this.data.strip, this.place[0], count);
    const outlined = this.pen.has(this.place[0]);
    const said = [slice.toLowerCase(), answered.toLowerCase(), outlined ? "with a region" : ""].filter(Boolean);
    this.canvas.setAttribute("aria-label", `Scan ${this.data.name}, ${said.join(", ")}`);
    for (const key of ["outline", "remove"]) if (this.buttons[key]) this.buttons[key].hidden = !outlined;
    const known = this.data.volume.windows.findIndex((one) => same(one, this.window));
    this.choice.selectedIndex = known < 0 ? this.data.volume.windows.length : known;
    const other = turned || (grey && !this.data.fixed && !same(this.window, this.asked));
    const button = this.root.querySelector(".ask");
    button.hidden = !other;
    button.textContent = `Examine ${turned ? `slice ${this.place[0] + 1}` : "with this window"}`;
  }

  // The reader

  move(by) {
    this.moveTo(0, this.place[0] + by);
  }

  moveTo(axis, index) {
    if (axis === 0) this.pen.cancel();
    this.place[axis] = Math.min(Math.max(index, 0), this.volume.shape[axis] - 1);
    this.draw();
  }

  examine() {
    const { low, high, table } = this.window, window = { low, high, bent: Boolean(table) };
    this.trigger("examine", { slice: this.place[0], window: same(this.window, this.asked) ? null : window });
  }

  work(tool, view, to, moved) {
    if (SHAPES[tool]) this.pen.move(this.views[0].place(to));
    else if (this.across) this.cross(view, to);
    else this.dragWindow(moved);
  }

  cross(view, at) {
    [this.place[view.plane.across], this.place[view.plane.down]] = view.voxel(at);
    this.draw();
  }

  wheel(view, event, place) {
    if (event.ctrlKey) return super.wheel(view, event, place);
    this.moveTo(view.plane.through, this.place[view.plane.through] + Math.sign(event.deltaY));
    return true;
  }

  pressed(view, place, event) {
    if (this.across && event.buttons === 1 && this.tool === "window") this.cross(view, place);
    if (!this.draws(event) || view.number !== 0) return;
    if (this.pen.closes(view, place)) this.finishRegion();
    else this.pen.press(this.tool, view.place(place), this.place[0]);
  }

  hovered(place) {
    if (!this.pen?.draft || this.tool !== "polygon") return;
    this.pen.move(this.views[0].place(place));
    this.draw();
  }

  // Whether the pointer draws: with another button or with Shift it zooms and pans, whatever the tool.
  draws(event) {
    return SHAPES[this.tool] && event.buttons === 1 && !event.shiftKey;
  }

  released(place) {
    const { held } = this, ellipse = this.tool === "ellipse" && this.pen?.draft;
    this.held = null;
    if (!held || !ellipse) return;
    const sides = [0, 1].map((axis) => Math.abs(place[axis] - held.start[axis]));
    if (Math.min(...sides) < LEAST_PIXELS) this.pen.cancel();
    else this.finishRegion();
    this.draw();
  }

  key(event) {
    if (!event.ctrlKey && !event.metaKey && !event.altKey && this.pen && this.data.regions) {
      const done = this.pen.key(SHAPES[this.tool] && this.tool, event, this.place[0]);
      if (done === "finish") this.finishRegion();
      if (done) {
        event.preventDefault();
        event.stopPropagation();
        this.draw();
        return;
      }
      if (event.key === "Escape" && SHAPES[this.tool]) this.setTool(this.usualTool);
    }
    const windows = this.data?.volume.windows ?? [], chosen = windows[Number(event.key) - 1];
    this.act(event, {
      ...this.zoomKeys(), ArrowUp: () => this.move(-1), ArrowLeft: () => this.move(-1), ArrowDown: () => this.move(1),
      ArrowRight: () => this.move(1), PageUp: () => this.move(-10), PageDown: () => this.move(10),
      Home: () => this.moveTo(0, 0), End: () => this.moveTo(0, this.volume.shape[0] - 1),
      p: () => this.buttons.across && this.setAcross(!this.across),
      ...(this.data?.regions
        ? { e: () => this.setTool("ellipse"), g: () => this.setTool("polygon"), o: () => this.setOutline(!this.outline) }
        : {}),
      Enter: () => this.examine(),
      ...(chosen ? { [event.key]: () => this.setWindow(chosen) } : {}),
    });
  }
}

// Where the planes go: the acquired one above, the two across it below.
function boxes(width, height, across) {
  if (!across) return [{ left: 0, top: 0, width, height }];
  const top = Math.round(0.58 * height), half = width / 2;
  return [
    { left: 0, top: 0, width, height: top },
    { left: 0, top, width: half, height: height - top },
    { left: half, top, width: half, height: height - top },
  ];
}

export default (component) => opened(component, (root) => new Viewer(root));
