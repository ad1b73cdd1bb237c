// What was found on each slice: a column each, under the picture. Shape and place say it as well as colour.

const SIGNS = { flagged: "\u25c6", refused: "\u00d7", first: "\u2591" };

class Strip {
  constructor(root, go) {
    this.canvas = root.querySelector(".strip");
    this.legend = root.querySelector(".legend");
    this.canvas.addEventListener("click", (event) => {
      go(Math.min(Math.floor((event.offsetX / this.canvas.clientWidth) * this.count), this.count - 1));
    });
  }

  draw(strip, slice, count) {
    this.canvas.hidden = this.legend.hidden = !strip;
    if (!strip) return;
    this.count = count;
    this.canvas.setAttribute("aria-label", strip.summary);
    this.drawLegend(strip);
    const sharp = globalThis.devicePixelRatio || 1, { clientWidth: width, clientHeight: height } = this.canvas;
    Object.assign(this.canvas, { width: Math.round(width * sharp), height: Math.round(height * sharp) });
    const context = this.canvas.getContext("2d"), column = width / count, body = height - 14;
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    const ink = getComputedStyle(this.canvas).color;
    strip.slices.forEach((own, index) => {
      const left = index * column, wide = Math.max(column - (column > 4 ? 1 : 0), 0.5);
      if (own.refused) return this.drawRefused(context, left, wide, height, ink);
      context.globalAlpha = own.examined ? 1 : 0.45;
      context.fillStyle = strip.colours[own.label] ?? ink;
      const tall = Math.max(own.confidence * body * strip.heights[own.label], 2);
      context.fillRect(left, height - tall, wide, tall);
      context.globalAlpha = 1;
      if (own.flagged) this.drawFlag(context, left + wide / 2, strip.flag);
    });
    context.strokeStyle = ink;
    context.lineWidth = 2;
    context.strokeRect(slice * column + 0.5, 1, Math.max(column - 1, 2), height - 2);
  }

  drawRefused(context, left, wide, height, ink) {
    context.globalAlpha = 0.5;
    context.strokeStyle = ink;
    context.lineWidth = 1;
    context.beginPath();
    const middle = left + wide / 2, half = Math.min(wide / 2, 3);
    context.moveTo(middle - half, height - 7), context.lineTo(middle + half, height - 1);
    context.moveTo(middle + half, height - 7), context.lineTo(middle - half, height - 1);
    context.stroke();
    context.globalAlpha = 1;
  }

  drawFlag(context, middle, colour) {
    context.fillStyle = colour;
    context.beginPath();
    context.moveTo(middle, 0), context.lineTo(middle + 5, 6), context.lineTo(middle, 12), context.lineTo(middle - 5, 6);
    context.fill();
  }

  drawLegend(strip) {
    const words = Object.entries(strip.colours).map(([label, colour]) => ["\u25ae", label, colour]);
    words.push([SIGNS.flagged, "flagged", strip.flag], [SIGNS.refused, "refused", ""]);
    if (strip.slices.some((own) => !own.examined)) words.push([SIGNS.first, "pale: first answer, not examined yet", ""]);
    this.legend.replaceChildren(...words.map(([sign, text, colour]) => {
      const word = document.createElement("span");
      word.dataset.sign = sign;
      word.textContent = text;
      if (colour) word.style.setProperty("--sign", colour);
      return word;
    }));
  }
}
