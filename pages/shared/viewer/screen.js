// A picture that the reader zooms, pans, measures and windows, under a toolbar: what viewer and comparison share.

const SENSITIVITY = 2 / 500; // a drag over 500 pixels moves the window by twice its width
const TOOLS = { window: "Window", pan: "Pan", measure: "Ruler" };

class Screen {
  constructor(root) {
    this.root = root;
    this.canvas = root.querySelector(".picture");
    this.tool = "window";
    this.buttons = {};
    this.views = [];
    this.resetLook();
    this.listen();
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.canvas);
  }

  close() {
    this.observer.disconnect();
  }

  // Whether these slices are new and here; null where others were asked for meanwhile.
  async fetchVolume(facts) {
    if (this.url === facts.url) return false;
    this.url = facts.url;
    const answer = await fetch(new URL(facts.url, document.baseURI));
    if (!answer.ok) throw new Error(`The slices did not arrive (${answer.status}).`);
    const buffer = await answer.arrayBuffer();
    if (this.url !== facts.url) return null;
    this.volume = new Volume(buffer, facts);
    this.brightness = null;
    this.planes = planesOf(facts.axes);
    return true;
  }

  resetLook() {
    this.looks = [0, 1, 2].map(() => ({ zoom: 1, pan: [0, 0] }));
  }

  // The toolbar

  addButton(bar, key, name, act, shortcut) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    if (shortcut) {
      button.title = `Key: ${shortcut}`;
      button.setAttribute("aria-keyshortcuts", shortcut);
    }
    button.onclick = act;
    this.buttons[key] = button;
    bar.append(button);
  }

  setPressed(key, pressed) {
    this.buttons[key]?.setAttribute("aria-pressed", String(pressed));
  }

  // What dragging does where nothing else was chosen: colour has no window.
  get usualTool() {
    return this.volume.channels === 1 ? "window" : "pan";
  }

  setTool(tool) {
    this.tool = tool;
    this.mark();
    this.draw();
  }

  setWindow(window) {
    this.window = window;
    this.brightness = null;
    this.draw();
  }

  // Pictures

  draw() {
    if (!this.volume || this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = null;
      const start = performance.now();
      this.drawNow();
      this.canvas.dataset.milliseconds = (performance.now() - start).toFixed(1);
    });
  }

  // A black canvas as sharp as the screen; null where there is no room for it.
  paper() {
    const { clientWidth: width, clientHeight: height } = this.canvas, sharp = globalThis.devicePixelRatio || 1;
    if (!width || !height) return null;
    const size = { width: Math.round(width * sharp), height: Math.round(height * sharp) };
    if (this.canvas.width !== size.width || this.canvas.height !== size.height) Object.assign(this.canvas, size);
    const context = this.canvas.getContext("2d");
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    this.brightness ??= brightnessOf(this.volume, this.window);
    return { context, width, height };
  }

  // Of pictures that share a look, on each of them.
  drawRuler(context) {
    if (!this.ruler) return;
    for (const view of this.views.filter((one) => one.number === this.ruler.view)) {
      const [from, to] = this.ruler.ends.map(([x, y]) => [view.left + x * view.millimetre, view.top + y * view.millimetre]);
      context.strokeStyle = "#ffd24d";
      context.lineWidth = 2;
      const length = Math.hypot(...[0, 1].map((axis) => this.ruler.ends[1][axis] - this.ruler.ends[0][axis]));
      view.within(context, () => {
        context.beginPath();
        context.moveTo(...from), context.lineTo(...to);
        context.stroke();
        write(context, `${length.toFixed(1)} ${this.volume.measured ? "mm" : "pixels"}`, to[0] + 8, to[1] - 12);
      });
    }
  }

  writeWindow(context, height) {
    if (this.volume.channels !== 1) return;
    const centre = (this.window.low + this.window.high) / 2, span = this.window.high - this.window.low;
    write(context, `C ${rounded(centre)}  W ${rounded(span)}`, 10, height - 14);
  }

  // The reader

  zoom(view, factor, [x, y]) {
    const look = this.looks[view.number], before = look.zoom;
    look.zoom = Math.min(Math.max(before * factor, 0.5), 20);
    const middle = [view.box.left + view.box.width / 2, view.box.top + view.box.height / 2];
    look.pan = [x, y].map((at, axis) => at - middle[axis] - ((at - middle[axis] - look.pan[axis]) * look.zoom) / before);
    this.draw();
  }

  pan(view, by) {
    const look = this.looks[view.number];
    look.pan = look.pan.map((at, axis) => at + by[axis]);
    this.draw();
  }

  // With another button or with Shift the pointer zooms and pans, whatever the tool.
  drag(view, start, from, to, event) {
    const moved = [to[0] - from[0], to[1] - from[1]];
    const tool = event.buttons === 4 || event.shiftKey ? "pan" : event.buttons === 2 ? "zoom" : this.tool;
    if (tool === "zoom") this.zoom(view, Math.exp(-moved[1] / 200), start);
    else if (tool === "pan") this.pan(view, moved);
    else if (tool === "measure") {
      const place = (at) => [(at[0] - view.left) / view.millimetre, (at[1] - view.top) / view.millimetre];
      this.ruler = { view: view.number, slice: this.place?.[view.plane.through], ends: [place(start), place(to)] };
    } else this.work(tool, view, to, moved);
    this.draw();
  }

  work(tool, view, to, moved) {
    this.dragWindow(moved);
  }

  // To the right wider, upwards darker: as at a console.
  dragWindow([x, y]) {
    if (this.volume.channels !== 1) return;
    const [least, most] = this.data.volume.range;
    const width = this.window.high - this.window.low, centre = (this.window.high + this.window.low) / 2;
    const step = Math.max(width, (most - least) / 100) * SENSITIVITY;
    const wider = Math.min(Math.max(width + x * step, (most - least) / 1000), 4 * (most - least));
    const moved = Math.min(Math.max(centre + y * step, least), most);
    this.window = { name: "Custom", low: moved - wider / 2, high: moved + wider / 2 };
    this.brightness = null;
  }

  listen() {
    const { canvas } = this, at = (event) => [event.offsetX, event.offsetY];
    const viewAt = (place) => this.views.find((view) => view.contains(place)) ?? this.views[0];
    canvas.addEventListener("wheel", (event) => {
      const view = viewAt(at(event));
      if (!view) return;
      if (this.wheel(view, event, at(event))) event.preventDefault();
    }, { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("pointerdown", (event) => {
      const place = at(event), view = viewAt(place);
      if (!view) return;
      canvas.setPointerCapture(event.pointerId);
      canvas.focus({ preventScroll: true });
      this.held = { pane: this.views.indexOf(view), start: place, last: place };
      this.pressed(view, place, event);
      this.draw();
      event.preventDefault();
    });
    canvas.addEventListener("pointermove", (event) => {
      const view = this.held && this.views[this.held.pane], place = at(event);
      if (!view) return this.hovered(place);
      this.drag(view, this.held.start, this.held.last, place, event);
      this.held.last = place;
    });
    canvas.addEventListener("pointerup", (event) => this.released(at(event)));
    canvas.addEventListener("pointercancel", () => (this.held = null));
    canvas.addEventListener("dblclick", () => this.doubleClick());
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  wheel(view, event, place) {
    this.zoom(view, Math.exp(-event.deltaY / 300), place);
    return true;
  }

  pressed() {}

  hovered() {}

  released() {
    this.held = null;
  }

  doubleClick() {
    this.reset();
  }

  // Runs what belongs to the key, if anything, and keeps it from the page.
  act(event, acts) {
    const act = acts[event.key];
    if (!act || !this.views.length || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  zoomKeys() {
    const view = this.views[0], middle = view && [view.box.left + view.box.width / 2, view.box.top + view.box.height / 2];
    return {
      "+": () => this.zoom(view, 1.25, middle), "-": () => this.zoom(view, 0.8, middle), r: () => this.reset(),
      m: () => this.setTool("measure"),
    };
  }
}

// One on the page for each component; the browser calls again with new data.
function opened(component, make) {
  const root = component.parentElement.querySelector(".viewer");
  if (!OPEN.has(root)) OPEN.set(root, make(root));
  const screen = OPEN.get(root), note = root.querySelector(".note");
  screen.trigger = (name, value) => component.setTriggerValue(name, value);
  screen.show(component.data).then(() => (note.hidden = true), (error) => {
    screen.url = null; // so that the next run of the page tries again
    note.hidden = false;
    note.textContent = `The picture can’t be drawn: ${error.message} Load the page again.`;
    screen.failed?.();
  });
  return () => {
    screen.close();
    OPEN.delete(root);
  };
}

const OPEN = new WeakMap();
// A table and a straight line between the same ends are two windows.
const same = (one, other) => one?.low === other?.low && one?.high === other?.high && !one?.table === !other?.table;
const rounded = (value) => String(Math.abs(value) < 1000 ? Number(value.toPrecision(4)) : Math.round(value));
