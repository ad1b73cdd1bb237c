// Three pictures of one scan. Played, the second follows the attack and the third purification, once; at rest, each
// shows its end, so that nobody has to wait for the answer.

const FRAME_MS = 600;
const REST_MS = 1200; // before the next stage begins

class Story {
  constructor(root, data) {
    this.stages = data.stages.map((stage, number) => this.drawStage(root, stage, number));
    this.play = root.querySelector(".play");
    this.play.onclick = () => (this.timer ? this.rest() : this.begin());
    this.rest();
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.begin();
  }

  drawStage(root, stage, number) {
    const figure = document.createElement("figure");
    figure.className = "stage";
    figure.innerHTML = '<h3></h3><img><p class="answer"><span></span> <span></span></p><div class="bar" aria-hidden="true"><div></div></div><p class="about"></p>';
    figure.querySelector("h3").textContent = `${number + 1}. ${stage.title}`;
    figure.querySelector("img").alt = stage.alt;
    root.querySelector(".stages").append(figure);
    return { ...stage, figure };
  }

  show(stage, place) {
    const frame = stage.frames[place];
    stage.figure.querySelector("img").src = frame.url;
    stage.figure.querySelectorAll(".answer span").forEach((part, place) => (part.textContent = frame.answer[place]));
    stage.figure.querySelector(".bar div").style.width = `${100 * (frame.share ?? 0)}%`;
    stage.figure.querySelector(".about").textContent = frame.about;
  }

  mark(now) {
    this.stages.forEach(({ figure }, number) => {
      figure.classList.toggle("seen", now === null || number <= now);
      figure.classList.toggle("now", number === now);
    });
  }

  rest() {
    clearTimeout(this.timer);
    this.timer = null;
    for (const stage of this.stages) this.show(stage, stage.frames.length - 1);
    this.mark(null);
    this.play.textContent = "▶ Play again";
  }

  begin() {
    for (const stage of this.stages) this.show(stage, 0);
    this.play.textContent = "■ Show the end";
    this.step(0, 0);
  }

  step(number, place) {
    const stage = this.stages[number];
    if (!stage) return this.rest();
    this.show(stage, place);
    this.mark(number);
    const last = place === stage.frames.length - 1;
    this.timer = setTimeout(() => this.step(number + last, last ? 0 : place + 1), last ? REST_MS : FRAME_MS);
  }
}

const stories = new WeakMap();

export default function ({ parentElement, data }) {
  const root = parentElement.querySelector(".story");
  if (!stories.has(root)) stories.set(root, new Story(root, data));
  return () => clearTimeout(stories.get(root)?.timer);
}
