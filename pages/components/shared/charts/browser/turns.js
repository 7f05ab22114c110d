// Who is drawn when: figures in the window at once, those outside it when the browser has nothing else to do.
const waiting = new Set();
const figures = new WeakMap(), all = new Set();
const PAPER = 640;  // pixels between the margins of an upright page, A4 or Letter
let planned = false;
const idle = window.requestIdleCallback ?? (work => setTimeout(() => work({timeRemaining: () => 0}), 50));
const watcher = new IntersectionObserver(seen => {
  for (const {isIntersecting, target} of seen) if (isIntersecting) take(figures.get(target));
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
  const {top, bottom} = figure.box.getBoundingClientRect();
  waiting.add(figure);
  if (bottom > 0 && top < innerHeight) take(figure);
  else plan();
}

function take(figure) {
  if (waiting.delete(figure)) figure.draw();
}

function plan() {
  if (planned || !waiting.size) return;
  planned = true;
  idle(work, {timeout: 25});
}

function work(deadline) {
  planned = false;
  for (const figure of waiting) {
    take(figure);
    if (deadline.timeRemaining() < 5) break;
  }
  plan();
}
