// Who is drawn when: figures in the window at once, those outside it once that has been painted. Whether one is in the
// window is what the browser last told: to ask would make it lay out the page, once for each figure.
const waiting = new Set();
const figures = new WeakMap(), all = new Set();
const PAPER = 640;  // pixels between the margins of an upright page, A4 or Letter
const TURN = 100;  // milliseconds after which whoever presses a key is heard
let planned = false;
const watcher = new IntersectionObserver(seen => {
  for (const {isIntersecting, target} of seen) {
    const figure = figures.get(target);
    figure.isSeen = isIntersecting;
    if (isIntersecting) take(figure);
  }
});
window.addEventListener("beforeprint", () => {
  waiting.forEach(take);
  const width = document.querySelector("[data-testid=stMainBlockContainer]")?.clientWidth ?? PAPER;
  for (const figure of all) figure.scale(Math.min(1, PAPER / width));
});
window.addEventListener("afterprint", () => all.forEach(figure => figure.scale(1)));

export function enter(figure) {
  figures.set(figure.box, figure);
  all.add(figure);
  watcher.observe(figure.box);
}

export function leave(figure) {
  waiting.delete(figure);
  all.delete(figure);
  watcher.unobserve(figure.box);
}

export function ask(figure) {
  waiting.add(figure);
  if (figure.isSeen ?? isInWindow(figure)) take(figure);
  else plan();
}

function isInWindow({box}) {
  const {top, bottom} = box.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

function take(figure) {
  if (waiting.delete(figure)) figure.draw();
}

function plan() {
  if (planned || !waiting.size) return;
  planned = true;
  requestAnimationFrame(() => setTimeout(work));  // once what was drawn in the window has been painted
}

// Between two turns the browser paints, which takes as long as a drawing: several figures are drawn in one.
function work() {
  planned = false;
  const end = performance.now() + TURN;
  for (const figure of waiting) {
    take(figure);
    if (performance.now() > end) break;
  }
  plan();
}
