// The comparison: pictures of one slice side by side, or two of them in one place, A and B, and what differs between
// these two. Zoom, place and window are the same for all of them, and nobody is asked.

const FLICKER = 650; // ms each; three flashes a second are where it begins to harm (WCAG 2.3.1)
const LEAST_PANE = 250; // on the screen
const MOST_HEIGHT = [0.66, 0.74]; // of the window, in one row and in two
const LEAST_HEIGHT = 240, FOOT = 3; // for a class: on the screen, and in heights of a line, what stands below
const UPRIGHT = 0.34; // of the height of a screen that is taller than wide, where the answers stand below the picture
const TYPED_IN = "textarea, select, input:not([type=radio], [type=checkbox], [type=range])";
const LAYOUTS = { beside: "s", a: "a", b: "b", difference: "d" };

class Comparison extends Screen {
  constructor(root) {
    super(root);
    this.layout = "beside";
    this.outline = true;
    this.signed = document.createElement("canvas");
    this.pageKey = (event) => this.keyOfPage(event);
    document.addEventListener("keydown", this.pageKey);
  }

  close() {
    super.close();
    clearInterval(this.flickering);
    document.removeEventListener("keydown", this.pageKey);
  }

  async show(data) {
    this.data = data;
    if (!this.canvas.getContext("2d")) throw new Error("This browser has no canvas.");
    const before = this.volume?.shape;
    const fresh = await this.fetchVolume(data.volume);
    if (fresh === null || !this.volume) return;
    this.setStill(null);
    this.window ??= this.whole;
    if (fresh && String(before?.slice(1)) !== String(this.volume.shape.slice(1))) this.reset();
    const names = JSON.stringify([data.names, data.first, Boolean(data.outline), data.large]);
    if (this.names !== names) {
      this.names = names;
      if (this.count !== data.names.length) this.pair = data.first;
      this.count = data.names.length;
      this.gain ??= data.gain;
      if (data.large && this.large !== data.large) this.layout = "b";
      this.large = data.large;
      this.fillToolbar();
    }
    this.draw();
  }

  failed() {
    const still = new Image();
    still.className = "still";
    still.src = new URL(this.data.still, document.baseURI);
    still.alt = this.data.names.join(", ");
    this.setStill(still);
  }

  // A picture in the place of all that needs a canvas, or none.
  setStill(still) {
    this.root.querySelector(".still")?.remove();
    for (const part of [".tools", ".picture", ".bar"]) this.root.querySelector(part).hidden = Boolean(still);
    if (still) this.canvas.after(still);
  }

  get whole() {
    return { low: 0, high: 1 };
  }

  reset() {
    this.resetLook();
    this.ruler = null;
    this.setWindow(this.whole);
  }

  // The toolbar

  fillToolbar() {
    const bar = this.root.querySelector(".tools"), { names } = this.data;
    if (this.tool === "window") this.tool = this.usualTool;
    bar.replaceChildren();
    this.buttons = {};
    const layout = (key, name) => this.addButton(bar, key, name, () => this.setLayout(key), LAYOUTS[key]);
    layout("beside", "Side by side");
    for (const [place, key] of ["a", "b"].entries()) {
      layout(key, key.toUpperCase());
      this.addChoice(bar, `Picture ${key.toUpperCase()}`, names, this.pair[place], (chosen) => (this.pair[place] = chosen));
    }
    addGap(bar);
    this.addButton(bar, "flicker", "Flicker A/B", () => this.setFlicker(!this.flickering), "f");
    layout("difference", "Difference B − A");
    const gains = this.data.gains.map((gain) => `× ${gain}`);
    this.addChoice(bar, "Amplify the difference", gains, this.data.gains.indexOf(this.gain), (chosen) => (this.gain = this.data.gains[chosen]));
    addGap(bar);
    for (const [tool, name] of Object.entries(this.data.large ? {} : TOOLS))
      if (tool !== "window" || this.usualTool === tool) this.addButton(bar, tool, name, () => this.setTool(tool), tool === "measure" ? "m" : null);
    if (this.data.outline) this.addButton(bar, "outline", "Outline", () => this.setOutline(!this.outline), "o");
    this.addButton(bar, "reset", "Reset", () => this.reset(), "r");
    this.mark();
  }

  addChoice(bar, label, names, chosen, choose) {
    const choice = document.createElement("select");
    choice.setAttribute("aria-label", label);
    names.forEach((name, index) => choice.add(new Option(name, index)));
    choice.selectedIndex = chosen;
    choice.onchange = () => {
      choose(Number(choice.value));
      this.draw();
    };
    bar.append(choice);
  }

  mark() {
    for (const layout of Object.keys(LAYOUTS)) this.setPressed(layout, this.layout === layout);
    for (const tool of Object.keys(TOOLS)) this.setPressed(tool, this.tool === tool);
    this.setPressed("flicker", Boolean(this.flickering));
    this.setPressed("outline", this.outline);
  }

  setLayout(layout) {
    this.setFlicker(false);
    this.layout = layout;
    this.mark();
    this.draw();
  }

  // The other one of A and B.
  swap() {
    this.layout = this.layout === "a" ? "b" : "a";
    this.mark();
    this.draw();
  }

  setFlicker(on) {
    clearInterval(this.flickering);
    this.flickering = on ? setInterval(() => this.swap(), FLICKER) : null;
    if (on) this.swap();
    this.mark();
  }

  setOutline(outline) {
    this.outline = outline;
    this.mark();
    this.draw();
  }

  // Pictures

  // What is shown now: pictures by their number, and null for the difference.
  get shown() {
    const [a, b] = this.pair;
    return { beside: [...this.data.names.keys(), null], a: [a], b: [b], difference: [null] }[this.layout];
  }

  nameOf(picture) {
    const { names } = this.data, [a, b] = this.pair;
    if (picture === null) return `${names[b]} − ${names[a]}, × ${this.gain}`;
    return this.layout === "beside" ? names[picture] : `${this.layout.toUpperCase()}  ${names[picture]}`;
  }

  drawNow() {
    const { shown } = this, boxes = this.arrange(shown.length), paper = this.paper();
    if (!paper) return;
    const { context } = paper, [plane] = this.planes;
    this.keepPlace(boxes[0]);
    this.views = boxes.map((box) => Object.assign(new View(plane, box, this.volume, this.looks[0]), { number: 0 }));
    this.views.forEach((view, place) => {
      const picture = shown[place];
      context.imageSmoothingEnabled = picture !== null; // colours between two colours of the scale would mean nothing
      view.draw(context, picture === null ? this.difference() : this.volume.plane(plane, picture, this.brightness));
      if (this.outline && this.data.outline) view.within(context, () => traceAll(context, view, this.data.outline, place === 0));
      const name = this.nameOf(picture);
      write(context, name, view.box.left + 10, view.box.top + 18, "left", fitting(context, name, view.box.width - 20, shown.length === 1 ? 26 : 19));
    });
    this.drawRuler(context);
    if (shown[0] !== null) this.writeWindow(context, paper.height);
    this.tell(shown);
  }

  // As many in a row as there is room for; all the same, as large as the page allows.
  arrange(count) {
    const { clientWidth: width } = this.canvas, { shape } = this.volume;
    const columns = count === 1 ? 1 : width / count >= LEAST_PANE ? count : 2, rows = Math.ceil(count / columns);
    const most = (this.data.large ? this.heightForClass() : MOST_HEIGHT[rows - 1] * globalThis.innerHeight) / rows;
    const side = width / columns, tall = Math.round(Math.min((side * shape[1]) / shape[2], most));
    this.canvas.style.height = `${rows * tall}px`;
    return Array.from({ length: count }, (_, place) => (
      { left: (place % columns) * side, top: Math.floor(place / columns) * tall, width: side, height: tall }
    ));
  }

  // All that is left of the screen below what stands above.
  heightForClass() {
    if (globalThis.innerHeight > globalThis.innerWidth) return UPRIGHT * globalThis.innerHeight;
    const page = this.root.getRootNode().host?.closest("[data-testid=stMain]"), bar = this.root.querySelector(".bar");
    const line = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const top = this.canvas.getBoundingClientRect().top + (page?.scrollTop ?? 0);
    return Math.max(globalThis.innerHeight - top - FOOT * line - (this.shown.includes(null) ? bar.offsetHeight || 2 * line : 0), LEAST_HEIGHT);
  }

  // In a box of another size the same part of the picture stays in sight.
  keepPlace({ width, height }) {
    const fit = Math.min(width / this.volume.shape[2], height / this.volume.shape[1]), [look] = this.looks;
    if (this.fit) look.pan = look.pan.map((at) => (at * fit) / this.fit);
    this.fit = fit;
  }

  // B − A in colours, amplified, the mean of the colours.
  difference() {
    const { data, channels, strides, shape, slope } = this.volume, [a, b] = this.pair.map((picture) => picture * strides[0]);
    Object.assign(this.signed, { width: shape[2], height: shape[1] });
    const context = this.signed.getContext("2d"), image = context.createImageData(shape[2], shape[1]);
    for (let pixel = 0; pixel < shape[1] * shape[2]; pixel++) {
      let sum = 0;
      for (let channel = 0, at = pixel * channels; channel < channels; channel++) sum += data[b + at + channel] - data[a + at + channel];
      const share = Math.min(Math.max((sum * slope * this.gain) / channels + 0.5, 0), 1);
      image.data.set([...this.data.colours[Math.round(255 * share)], 255], 4 * pixel);
    }
    context.putImageData(image, 0, 0);
    return this.signed;
  }

  // What is shown, in words.
  tell(shown) {
    const limit = rounded(0.5 / this.gain), bar = this.root.querySelector(".bar");
    bar.hidden = !shown.includes(null);
    drawBar(this.root, { colours: this.data.colours, low: `−${limit} darker (blue)`, high: `brighter (red) +${limit}` });
    const names = shown.map((picture) => this.nameOf(picture)).join("; ");
    this.canvas.setAttribute("aria-label", `Scan ${this.data.name}: ${names}${this.data.outline && this.outline ? ", with the region’s outline" : ""}`);
    this.canvas.dataset.shown = names;
  }

  // The reader

  // Wherever the focus is, so that a teacher needs not look for it; not while something is being typed.
  keyOfPage(event) {
    const [target] = event.composedPath();
    if (event.shiftKey || target.isContentEditable || target.matches?.(TYPED_IN)) return;
    const flicker = () => this.setFlicker(!this.flickering);
    if (this.data.large) {
      this.act(event, { s: () => this.setLayout("beside"), f: () => this.setFlicker(false) ?? this.swap(), d: flicker });
      return;
    }
    const layouts = Object.entries(LAYOUTS).map(([layout, key]) => [key, () => this.setLayout(layout)]);
    this.act(event, { ...Object.fromEntries(layouts), f: flicker });
  }

  key(event) {
    const far = 24, pan = { ArrowLeft: [far, 0], ArrowRight: [-far, 0], ArrowUp: [0, far], ArrowDown: [0, -far] }[event.key];
    this.act(event, {
      ...this.zoomKeys(), " ": () => this.setFlicker(false) ?? this.swap(), o: () => this.setOutline(!this.outline),
      ...(pan && event.shiftKey ? { [event.key]: () => this.pan(this.views[0], pan) } : {}),
    });
  }

  // Who only scrolls past must get past: the wheel is the picture's once that has the focus.
  wheel(view, event, place) {
    const focused = this.root.getRootNode().activeElement === this.canvas;
    return (focused || event.ctrlKey) && super.wheel(view, event, place);
  }
}

function addGap(bar) {
  const gap = document.createElement("span");
  gap.className = "gap";
  bar.append(gap);
}

// The largest type, up to `most` pixels, that a text fits a width in.
function fitting(context, text, width, most) {
  context.font = `600 ${most}px sans-serif`;
  return Math.max(Math.min(most, Math.floor((most * width) / context.measureText(text).width)), 11);
}

export default (component) => opened(component, (root) => new Comparison(root));
