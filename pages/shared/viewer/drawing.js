// A volume and how one of its planes is drawn on a canvas. No WebGL: a department's machines often have none, and a
// slice of 512 x 512 takes two milliseconds without.

const TYPES = { int16: Int16Array, uint16: Uint16Array, uint8: Uint8Array };

// What each plane shows from left to right and from top to bottom, as radiologists are used to it.
const SHOWN = { axial: ["L", "P"], coronal: ["L", "I"], sagittal: ["P", "I"] };
const OPPOSITE = { L: "R", R: "L", A: "P", P: "A", S: "I", I: "S" };
const ALONG = { L: "sagittal", R: "sagittal", A: "coronal", P: "coronal", S: "axial", I: "axial" };

// The plane that was acquired, as the file has it, and the two across it, by the volume's axes: 0 slices, 1 rows,
// 2 columns. `axes`: the letters that these run towards, "SPL" for most; a guess does for the arrangement where nobody knows.
function planesOf(axes) {
  const letters = [...(axes ?? "SPL")];
  const axisOf = (letter) => letters.findIndex((own) => own === letter || own === OPPOSITE[letter]);
  const acquired = { through: 0, across: 2, down: 1, flipped: [false, false] };
  const others = [1, 2].map((through) => {
    const wanted = SHOWN[ALONG[letters[through]]];
    const [across, down] = wanted.map(axisOf);
    return { through, across, down, flipped: [letters[across] !== wanted[0], letters[down] !== wanted[1]] };
  });
  return [acquired, ...others].map((plane) => ({ ...plane, name: ALONG[letters[plane.through]] }));
}

class Volume {
  constructor(buffer, facts) {
    this.data = new TYPES[facts.dtype](buffer);
    this.shape = facts.shape; // slices, rows, columns
    this.channels = facts.channels;
    this.spacing = facts.spacing ?? [1, 1, 1];
    this.measured = facts.measured;
    this.slope = facts.slope;
    this.intercept = facts.intercept;
    this.inverted = facts.inverted;
    this.axes = facts.axes; // letters that slices, rows and columns run towards, or null
    this.strides = [facts.shape[1] * facts.shape[2], facts.shape[2], 1].map((stride) => stride * facts.channels);
    this.scratch = document.createElement("canvas");
  }

  value(place) {
    const at = place.reduce((sum, index, axis) => sum + index * this.strides[axis], 0);
    return this.data[at] * this.slope + this.intercept;
  }

  // A plane as a canvas of its own pixels. `brightness`: 0..255 of every stored value, from `least` on.
  plane({ through, across, down, flipped }, index, { table, least }) {
    const width = this.shape[across], height = this.shape[down];
    if (this.scratch.width !== width || this.scratch.height !== height) Object.assign(this.scratch, { width, height });
    const context = this.scratch.getContext("2d");
    const image = context.createImageData(width, height), pixels = new Uint32Array(image.data.buffer);
    const [right, below] = [across, down].map((axis, place) => (flipped[place] ? -1 : 1) * this.strides[axis]);
    const first = index * this.strides[through]
      + (flipped[0] ? (width - 1) * this.strides[across] : 0) + (flipped[1] ? (height - 1) * this.strides[down] : 0);
    const { data, channels } = this, shift = data.BYTES_PER_ELEMENT === 2 ? 8 : 0;
    for (let row = 0, to = 0; row < height; row++) {
      for (let column = 0, from = first + row * below; column < width; column++, from += right, to++) {
        const grey = channels === 1 ? table[data[from] - least] : 0;
        pixels[to] = channels === 1
          ? 0xff000000 | (grey << 16) | (grey << 8) | grey
          : 0xff000000 | ((data[from + 2] >> shift) << 16) | ((data[from + 1] >> shift) << 8) | (data[from] >> shift);
      }
    }
    context.putImageData(image, 0, 0);
    return this.scratch;
  }
}

// 0..255 of every stored value, for a window in modality units, or through the table that the file brings with it.
function brightnessOf(volume, window) {
  const least = volume.data instanceof Int16Array ? -32768 : 0;
  const table = new Uint8Array(65536);
  for (let stored = least; stored < least + table.length; stored++) {
    const value = stored * volume.slope + volume.intercept;
    let share = (value - window.low) / (window.high - window.low);
    if (window.table) {
      const place = Math.min(Math.max(share, 0), 1) * (window.table.length - 1);
      share = window.table[Math.round(place)];
    }
    share = Math.min(Math.max(share, 0), 1);
    table[stored - least] = Math.round(255 * (volume.inverted ? 1 - share : share));
  }
  return { table, least };
}

// One plane in a part of the canvas: where its pixels fall, and back.
class View {
  constructor(plane, box, volume, look) {
    Object.assign(this, { plane, box, volume });
    const [x, y] = [plane.across, plane.down].map((axis) => volume.spacing[axis]);
    const size = [volume.shape[plane.across] * x, volume.shape[plane.down] * y];
    const fit = Math.min(box.width / size[0], box.height / size[1]);
    this.scale = [x * fit * look.zoom, y * fit * look.zoom];
    this.millimetre = fit * look.zoom;
    this.left = box.left + (box.width - size[0] * fit * look.zoom) / 2 + look.pan[0];
    this.top = box.top + (box.height - size[1] * fit * look.zoom) / 2 + look.pan[1];
  }

  contains([x, y]) {
    const { left, top, width, height } = this.box;
    return x >= left && x < left + width && y >= top && y < top + height;
  }

  // Canvas -> the volume's indices along `across` and `down`, within it.
  voxel([x, y]) {
    const { across, down, flipped } = this.plane;
    const index = (value, axis, turned) => {
      const last = this.volume.shape[axis] - 1, at = Math.min(Math.max(Math.floor(value), 0), last);
      return turned ? last - at : at;
    };
    return [
      index((x - this.left) / this.scale[0], across, flipped[0]), index((y - this.top) / this.scale[1], down, flipped[1]),
    ];
  }

  // Canvas -> [column, row] on the plane in pixels of its own, from the corner of the first one, and within it.
  place([x, y]) {
    const { across, down } = this.plane, { shape } = this.volume;
    const within = (value, axis) => Math.min(Math.max(value, 0), shape[axis]);
    return [within((x - this.left) / this.scale[0], across), within((y - this.top) / this.scale[1], down)];
  }

  pixel([column, row]) {
    return [this.left + column * this.scale[0], this.top + row * this.scale[1]];
  }

  // The middle of a voxel -> canvas.
  point(place) {
    const { across, down, flipped } = this.plane, { shape } = this.volume;
    const [column, row] = [across, down].map((axis, i) => (flipped[i] ? shape[axis] - 1 - place[axis] : place[axis]));
    return [this.left + (column + 0.5) * this.scale[0], this.top + (row + 0.5) * this.scale[1]];
  }

  // A picture of the plane, as a canvas of its own pixels; `overlay`: a picture over it, and its opacity.
  draw(context, picture, overlay) {
    this.within(context, () => this.drawOver(context, picture, overlay));
  }

  // Nothing that `draw` draws leaves the box.
  within(context, draw) {
    const { left, top, width, height } = this.box;
    context.save();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    draw();
    context.restore();
  }

  drawOver(context, picture, overlay) {
    const size = [picture.width * this.scale[0], picture.height * this.scale[1]];
    context.imageSmoothingQuality = "high";
    context.drawImage(picture, this.left, this.top, ...size);
    if (overlay) {
      context.globalAlpha = overlay.opacity;
      context.drawImage(overlay.picture, this.left, this.top, ...size);
      context.globalAlpha = 1;
    }
    this.drawLetters(context);
  }

  drawLetters(context) {
    const { axes } = this.volume, { left, top, width, height } = this.box, { across, down, flipped } = this.plane;
    if (!axes) return;
    const towards = [across, down].map((axis, i) => (flipped[i] ? OPPOSITE[axes[axis]] : axes[axis]));
    const [right, bottom] = towards, [start, above] = towards.map((letter) => OPPOSITE[letter]);
    write(context, start, left + 14, top + height / 2, "center");
    write(context, right, left + width - 14, top + height / 2, "center");
    write(context, above, left + width / 2, top + 16, "center");
    write(context, bottom, left + width / 2, top + height - 14, "center");
  }
}

function write(context, text, x, y, align = "left", size = 15) {
  context.font = `600 ${size}px sans-serif`;
  context.textAlign = align;
  context.textBaseline = "middle";
  context.lineWidth = size / 5;
  context.strokeStyle = "#000";
  context.fillStyle = "#fff";
  context.strokeText(text, x, y);
  context.fillText(text, x, y);
}
