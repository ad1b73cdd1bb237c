// A map over a slice: the server sends how strong it is at each pixel, and how much of it is seen is up to the reader.

class Overlay {
  constructor(image, facts) {
    this.facts = facts;
    this.canvas = document.createElement("canvas");
    Object.assign(this.canvas, { width: image.naturalWidth, height: image.naturalHeight });
    this.context = this.canvas.getContext("2d", { willReadFrequently: true });
    this.context.drawImage(image, 0, 0);
    const { data } = this.context.getImageData(0, 0, this.canvas.width, this.canvas.height);
    this.strengths = Uint8Array.from({ length: data.length / 4 }, (_, pixel) => data[4 * pixel]);
  }

  static async from(facts) {
    const image = new Image();
    image.src = facts.url;
    await image.decode();
    return new Overlay(image, facts);
  }

  // The part of the map that reaches a threshold, a share of its end; what is weak hides little of the slice.
  picture(threshold) {
    if (this.threshold === threshold) return this.canvas;
    this.threshold = threshold;
    const image = this.context.createImageData(this.canvas.width, this.canvas.height);
    this.strengths.forEach((strength, pixel) => {
      if (strength < 255 * threshold) return;
      image.data.set(this.facts.colours[strength], 4 * pixel);
      image.data[4 * pixel + 3] = Math.sqrt(strength * 255);
    });
    this.context.putImageData(image, 0, 0);
    return this.canvas;
  }
}

// A colour bar with what its ends stand for; `from`: the share of it below which nothing is shown.
function drawBar(root, { colours, low, high }, from = 0) {
  const bar = root.querySelector(".bar"), ramp = bar.querySelector(".ramp");
  const stops = colours.filter((_, place) => place % 15 === 0).map((colour) => `rgb(${colour})`);
  const hidden = `var(--st-background-color) ${100 * from}%, transparent ${100 * from}%`;
  ramp.style.background = `linear-gradient(to right, ${hidden}), linear-gradient(to right, ${stops})`;
  bar.querySelector(".low").textContent = low;
  bar.querySelector(".high").textContent = high;
}
