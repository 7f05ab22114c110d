// A figure in the page: a box that stays as long as its key is drawn, and in which Plotly redraws in place.
import {bar} from "./bar.js";
import {pressed, struck, wrapped} from "./legend.js";
import {same, unpack} from "./packet.js";
import {themed, watch} from "./theme.js";
import {ask, enter, leave} from "./turns.js";

const figures = new WeakMap();  // by the element that Streamlit gives each
const WIDE = 600;  // pixels from which on a figure has room for all names
const GAP = 8;  // between panels
let Plotly;

// Loads Plotly, once; gives what the page calls. Its address is told in ours, with its version: the copy that the browser
// has of that is taken, however old.
export async function begin() {
  const style = document.createElement("link");
  Object.assign(style, {rel: "stylesheet", href: new URL("figure.css", import.meta.url).href});
  document.head.append(style);
  const address = new URL(new URL(import.meta.url).search.slice(1), import.meta.url);
  const answer = await fetch(address, {cache: "force-cache"});
  if (!answer.ok) throw new Error(`${address}: ${answer.status}`);
  const script = document.createElement("script");
  script.src = URL.createObjectURL(new Blob([await answer.blob()], {type: "text/javascript"}));
  await new Promise((done, failed) => {
    Object.assign(script, {onload: done, onerror: failed});
    document.head.append(script);
  });
  Plotly = window.Plotly;
  return {show, remove};
}

function show(component) {
  let figure = figures.get(component.parentElement);
  if (!figure) figures.set(component.parentElement, figure = new Figure(component.parentElement));
  figure.update(component);
}

function remove(element) {
  figures.get(element)?.remove();
  figures.delete(element);
}

class Figure {
  constructor(element) {
    this.element = element;
    this.box = Object.assign(document.createElement("div"), {className: "qv-figure"});
    this.node = Object.assign(document.createElement("div"), {role: "img"});
    this.box.append(this.node);
    element.append(this.box);
    this.resets = 0;
    this.hidden = new Set();  // names of the lines that a visitor has switched off
    enter(this);
    this.unwatch = watch(element.parentElement, () => ask(this));
    this.sizes = new ResizeObserver(() => this.resized());
    this.sizes.observe(this.box);
  }

  update(component) {
    this.tell = component.setTriggerValue;
    if (same(this.sent, component.data)) return;
    this.sent = component.data.slice();
    const {data, layout, ...facts} = unpack(this.sent);
    Object.assign(this, {data, layout, facts});
    this.node.setAttribute("aria-label", facts.alt);
    layout.height ??= 450;  // as Plotly would
    this.box.style.height = `${layout.height}px`;
    ask(this);
  }

  // Streamlit's element may be hidden, in which case the figure is drawn when it has a width.
  resized() {
    const {width, height} = this.size();
    if (width && this.drawn && (width !== this.drawn.width || height !== this.drawn.height)) {
      clearTimeout(this.resizing);
      this.resizing = setTimeout(() => ask(this), 60);  // a window that is being dragged has many widths
    } else if (width && this.owed) ask(this);
  }

  size() {
    const isWhole = document.fullscreenElement === this.box;
    return {width: this.box.clientWidth, height: isWhole ? this.box.clientHeight : this.layout?.height};
  }

  draw() {
    const size = this.size();
    this.owed = !size.width;
    if (this.owed || !this.data) return;
    const isFirst = !this.drawn;
    this.drawn = size;
    const layout = {...copied(this.layout), ...size, template: themed(this.element)};
    layout.uirevision = `${this.facts.keeps} ${this.resets}`;
    layout.dragmode = this.tool ?? layout.dragmode ?? (this.facts.clicks ? "pan" : "zoom");
    if (this.facts.clicks) Object.assign(layout, {clickmode: "event", hovermode: layout.hovermode ?? "closest"});
    const isWide = size.width >= WIDE, [left, right] = layout.xaxis?.range ?? [0, 1];
    layout.annotations = layout.annotations?.filter(note => note.name !== "wide" || isWide)  // a panel is 1 wide
      .map(note => note.name === "panel" ? {...note, width: size.width / (right - left) - GAP} : note);
    layout.annotations?.forEach(note => struck(note, this.hidden));
    wrapped(layout, size.width, layout.template.layout.font.family);
    const data = copied(this.data).map(trace => ({
      ...trace, ...(this.hidden.has(trace.name) && {visible: false}),
      ...(trace.meta === "wide" && !isWide && {textposition: "none"}),
    }));
    try {
      this.drawing = Plotly.react(this.node, data, layout, {displayModeBar: false, responsive: false});
      if (isFirst) this.equip();
    } catch (problem) {
      this.node.textContent = `This figure could not be drawn. ${this.facts.alt}`;
      reportError(problem);
    }
  }

  equip() {
    this.node.on("plotly_click", ({points}) => this.facts.clicks && this.clicked(points));
    this.node.on("plotly_clickannotation", clicked => this.toggle(pressed(this.node, clicked)));
    this.box.append(bar(this, Plotly));
    this.box.addEventListener("fullscreenchange", () => this.resized());
  }

  clicked(points) {
    const told = points.map(p => ({
      x: p.x, y: p.y, customdata: p.customdata, text: p.text, curve_number: p.curveNumber, point_index: p.pointIndex,
    }));
    this.tell("selection", {points: told, point_indices: told.map(p => p.point_index), box: [], lasso: []});
  }

  // Switches the lines of a name off, or on again.
  toggle(name) {
    if (!this.data.some(trace => trace.name === name)) return;
    if (!this.hidden.delete(name)) this.hidden.add(name);
    ask(this);
  }

  // On paper a browser lays the page out anew, and the figure stays as wide as it is.
  scale(factor) {
    this.node.style.zoom = factor;
    this.box.style.height = `${factor * this.layout?.height}px`;
  }

  // As it was given, without what a visitor did to it.
  reset() {
    this.resets += 1;
    this.hidden.clear();
    ask(this);
  }

  use(tool) {
    this.tool = tool;
    this.drawing = Plotly.relayout(this.node, {dragmode: tool});
  }

  // Plotly looks at the figure once more when it has drawn it, which may be after the page has no place for it.
  remove() {
    leave(this);
    this.unwatch();
    this.sizes.disconnect();
    clearTimeout(this.resizing);
    this.box.remove();
    Promise.allSettled([this.drawing]).then(() => Plotly.purge(this.node));
  }
}

// Plotly writes what a visitor does into what it is given: it gets a copy, whose arrays of numbers are the same.
function copied(value) {
  if (Array.isArray(value)) return typeof value[0] === "object" ? value.map(copied) : value;
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, copied(inner)]));
}
