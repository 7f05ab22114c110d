// A slider that tells where it is while it is moved, as fast as it is answered, and once more when the hand rests.
const RESTS = 400, PATIENCE = 2000;  // milliseconds: without a key, and without an answer
const STYLE = `
  div { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; color: var(--st-text-color);
    font: 14px var(--st-font); min-height: 34px; }
  select { font: inherit; color: inherit; background: var(--st-secondary-background-color); padding: 4px 6px;
    border: 1px solid var(--st-border-color, #8888); border-radius: 6px; }
  input { flex: 1 1 140px; min-width: 100px; max-width: 420px; accent-color: var(--st-primary-color); touch-action: pan-y; }
  output { min-width: 4.5em; font-variant-numeric: tabular-nums; }
  :focus-visible { outline: 2px solid var(--st-primary-color); outline-offset: 2px; }
  [role=status] { flex: 1 1 260px; min-height: 1.3em; font-variant-numeric: tabular-nums; }`;
const sliders = new WeakMap();

export function show(component) {
  let slider = sliders.get(component.parentElement);
  if (!slider) sliders.set(component.parentElement, slider = new Slider(component.parentElement));
  slider.update(component);
}

export function remove(root) {
  sliders.get(root)?.remove();
  sliders.delete(root);
}

class Slider {
  constructor(root) {
    this.choice = element("select", {ariaLabel: "What the slider turns"});
    this.range = element("input", {type: "range", min: 0, step: 1});
    this.there = element("output");
    this.said = element("span");
    this.said.setAttribute("role", "status");
    this.box = element("div");
    this.box.append(this.choice, this.range, this.there, this.said);
    this.style = element("style", {textContent: STYLE});
    root.append(this.style, this.box);
    this.serial = this.sentAt = 0;
    this.choice.onchange = () => this.place();
    this.range.oninput = () => this.moves();
    this.range.onpointerdown = () => this.isHeld = true;
    this.released = () => {
      if (this.isHeld) this.rests();
      this.isHeld = false;
    };
    for (const event of ["pointerup", "pointercancel"]) window.addEventListener(event, this.released);
  }

  update({data, setTriggerValue}) {
    this.tell = setTriggerValue;
    const names = data.quantities.map(quantity => quantity.name);
    if (names.join() !== this.names?.join()) {
      const before = this.choice.value;
      this.choice.replaceChildren(...names.map(name => element("option", {textContent: name})));
      this.choice.value = names.includes(before) ? before : names[0];
      this.names = names;
    }
    this.quantities = data.quantities;
    this.said.textContent = data.said;
    if (data.answered === this.serial) this.sentAt = 0;
    if (this.isAhead) this.sends();
    if (!this.isMoving && !(Date.now() < this.keepsUntil && this.now().at !== Number(this.range.value))) this.place();
  }

  now() {
    return this.quantities[this.names.indexOf(this.choice.value)];
  }

  // Puts the thumb where the page is.
  place() {
    const {steps, at} = this.now();
    this.range.max = steps.length - 1;
    this.range.value = at;
    this.tells();
  }

  tells() {
    const {name, steps} = this.now(), step = steps[this.range.value];
    this.there.textContent = step;
    this.range.setAttribute("aria-label", name);
    this.range.setAttribute("aria-valuetext", step);
  }

  moves() {
    this.isMoving = this.isAhead = true;
    this.tells();
    this.sends();
    clearTimeout(this.resting);
    if (!this.isHeld) this.resting = setTimeout(() => this.rests(), RESTS);
  }

  sends() {
    if (!this.isAhead || Date.now() < this.sentAt + PATIENCE) return;
    this.isAhead = false;
    this.sentAt = Date.now();
    this.tell("moving", {...this.where(), serial: ++this.serial});
  }

  rests() {
    if (!this.isMoving) return;
    this.isMoving = this.isAhead = false;
    this.sentAt = 0;
    this.keepsUntil = Date.now() + PATIENCE;
    this.tell("rest", this.where());
  }

  where() {
    return {name: this.choice.value, at: Number(this.range.value)};
  }

  remove() {
    clearTimeout(this.resting);
    for (const event of ["pointerup", "pointercancel"]) window.removeEventListener(event, this.released);
    this.style.remove();
    this.box.remove();
  }
}

function element(name, properties = {}) {
  return Object.assign(document.createElement(name), properties);
}
