// A figure for paper: dark on white whatever the theme, as wide and high as is wished, with a title and a caption.
import {printed} from "./theme.js";

const PIXELS = {mm: 96 / 25.4, px: 1}, PER_POINT = 96 / 72, SHARP = 300 / 96;  // pixels of a PNG per CSS pixel
const LINE = 1.35, LETTER = 0.52;  // of the size of type: between lines, and the width of a letter
const KEPT = "qv-paper", ASKED = {kind: "PDF", unit: "mm", width: 160, height: 100, points: 9};

// Asks how, and saves the figure. figure.facts.paper: {name of the file, caption}.
export function ask(figure, Plotly) {
  const asked = {...ASKED, ...JSON.parse(localStorage.getItem(KEPT) ?? "{}")};
  const window_ = element("dialog", {className: "qv-paper", ariaLabel: "Save the figure for a paper"});
  const form = element("form", {method: "dialog"});
  const fields = {
    kind: choice(["PDF", "SVG", "PNG"], asked.kind), unit: choice(["mm", "px"], asked.unit),
    width: amount(asked.width, 20, 4000), height: amount(asked.height, 20, 4000), points: amount(asked.points, 4, 40),
    title: element("input", {value: figure.node.layout.title?.text ?? ""}),
    caption: element("textarea", {rows: 3, value: figure.facts.paper?.caption ?? ""}),
  };
  const said = element("p", {role: "status"});
  form.append(
    labelled("Kind", fields.kind), labelled("Width", fields.width), labelled("Height", fields.height),
    labelled("Unit", fields.unit), labelled("Type, points", fields.points), labelled("Title", fields.title),
    labelled("Caption", fields.caption), said,
    element("div", {className: "qv-row"}, [
      element("button", {value: "save", textContent: "Save"}), element("button", {value: "", textContent: "Cancel"}),
    ]),
  );
  form.addEventListener("submit", event => {
    if (event.submitter?.value !== "save") return;
    event.preventDefault();
    const wish = Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, field.value]));
    for (const name of ["width", "height", "points"]) wish[name] = Number(wish[name]);
    const {title, caption, ...kept} = wish;
    localStorage.setItem(KEPT, JSON.stringify(kept));
    save(figure, Plotly, wish).then(() => window_.close(), problem => said.textContent = `Not saved: ${problem.message ?? problem}`);
  });
  window_.append(form);
  window_.addEventListener("close", () => window_.remove());
  figure.element.append(window_);  // where the theme's colours are known
  window_.showModal();
}

async function save(figure, Plotly, wish) {
  const name = figure.facts.paper?.name ?? "figure";
  const width = Math.round(wish.width * PIXELS[wish.unit]), height = Math.round(wish.height * PIXELS[wish.unit]);
  const node = element("div", {style: "position:fixed;left:-20000px;top:0"});
  document.body.append(node);
  try {
    await Plotly.newPlot(node, figure.node.data, laid(figure, wish, width, height), {staticPlot: true});
    const drawn = await Plotly.toImage(node, {format: "svg", width, height, imageDataOnly: true});
    const svg = await complete(drawn, `${wish.width}${wish.unit}`, `${wish.height}${wish.unit}`);
    const address = URL.createObjectURL(new Blob([svg], {type: "image/svg+xml"}));
    if (wish.kind === "SVG") return handed(address, `${name}.svg`);
    const scale = wish.unit === "mm" ? SHARP : 2;
    if (wish.kind === "PNG") return handed(await inPixels(address, width * scale, height * scale), `${name}.png`);
    print(svg, name, `${wish.width}${wish.unit} ${wish.height}${wish.unit}`);
  } finally {
    Plotly.purge(node);
    node.remove();
  }
}

// The layout as a visitor sees it, zoomed and with lines switched off, in the colours of paper.
function laid(figure, {title, caption, points}, width, height) {
  const size = points * PER_POINT, now = figure.node.layout;
  const lines = wrapped(caption, Math.floor((width - 20) / (LETTER * size)));
  const above = title ? 1.8 * LINE * size : 0, below = lines.length ? (lines.length + 0.8) * LINE * size : 0;
  const margin = {...figure.node._fullLayout._size};
  const layout = {
    ...now, width, height, autosize: false, template: printed(figure.element, size), paper_bgcolor: "#ffffff",
    plot_bgcolor: "#ffffff", title: {text: ""}, uirevision: undefined,
    margin: {l: margin.l, r: margin.r, t: margin.t + above, b: margin.b + below},
  };
  const plain = {showarrow: false, xref: "paper", align: "left", font: {size, color: "#000000"}};
  const left = {...plain, x: 0, xanchor: "left", xshift: 8 - margin.l};
  layout.annotations = (now.annotations ?? []).map(note => ({...note, font: {...note.font, color: "#000000"}})).concat(
    title ? [{...left, text: `<b>${shown(title)}</b>`, font: {...left.font, size: 1.15 * size}, yref: "paper", y: 1,
              yanchor: "bottom", yshift: margin.t}] : [],
    lines.length ? [{...left, text: lines.map(shown).join("<br>"), yref: "paper", y: 0, yanchor: "top",
                     yshift: -margin.b}] : [],
  );
  return layout;
}

// Sized in the unit that was asked for, with the type that it is set in.
async function complete(svg, width, height) {
  const sized = svg.replace(/(<svg[^>]*?) width="[^"]*" height="[^"]*"/, `$1 width="${width}" height="${height}"`);
  return sized.replace(/(<svg[^>]*>)/, `$1<style>${await faces(sized)}</style>`);
}

// The faces of the page's own type that a drawing uses, in the drawing itself.
async function faces(svg) {
  const used = [...document.styleSheets].flatMap(sheet => {
    try {
      return [...sheet.cssRules].filter(rule => rule instanceof CSSFontFaceRule);
    } catch {
      return [];  // of another origin
    }
  }).filter(rule => svg.includes(rule.style.getPropertyValue("font-family").replace(/["']/g, ""))
    && !/italic/.test(rule.style.getPropertyValue("font-style")));
  const written = await Promise.all(used.map(async rule => {
    const address = rule.style.getPropertyValue("src").match(/url\(["']?([^"')]+)/)?.[1];
    if (!address) return "";
    const bytes = new Uint8Array(await (await fetch(new URL(address, rule.parentStyleSheet.href ?? location))).arrayBuffer());
    const text = btoa(bytes.reduce((all, byte) => all + String.fromCharCode(byte), ""));
    return rule.cssText.replace(/src:[^;]*;/, `src: url(data:font/woff2;base64,${text}) format("woff2");`);
  }));
  return written.join("").replace(/&/g, "&amp;").replace(/</g, "&lt;");
}

// The address of a PNG of a drawing.
async function inPixels(address, width, height) {
  const image = element("img", {src: address});
  await image.decode();
  await image.decode();  // the type within is there at the second look
  const canvas = element("canvas", {width: Math.round(width), height: Math.round(height)});
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas.toDataURL("image/png");
}

// A PDF through the browser's own dialog: lines stay lines, and type stays type.
function print(svg, name, size) {
  const frame = element("iframe", {style: "position:fixed;left:-20000px;width:1px;height:1px", title: name});
  document.body.append(frame);
  const page = frame.contentDocument;
  page.title = name;
  page.head.append(element("style", {textContent: `@page { size: ${size}; margin: 0 } body { margin: 0 } svg { display: block }`}));
  page.body.append(page.importNode(new DOMParser().parseFromString(svg, "image/svg+xml").documentElement, true));
  const before = document.title;
  document.title = name;  // what browsers offer as the name of the file
  frame.contentWindow.addEventListener("afterprint", () => setTimeout(() => frame.remove()));
  setTimeout(() => {
    frame.contentWindow.print();
    document.title = before;
  }, 300);  // the type is there by then
}

function handed(address, name) {
  element("a", {href: address, download: name}).click();
}

function wrapped(text, letters) {
  const lines = [];
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= letters) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

// Plotly reads some marks in texts: here they are letters.
function shown(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function element(kind, facts, inside = []) {
  const made = Object.assign(document.createElement(kind), facts);
  if (facts.style) made.setAttribute("style", facts.style);
  made.append(...inside);
  return made;
}

function labelled(label, field) {
  return element("label", {}, [element("span", {textContent: label}), field]);
}

function choice(names, chosen) {
  return element("select", {}, names.map(name => element("option", {value: name, textContent: name, selected: name === chosen})));
}

function amount(value, min, max) {
  return element("input", {type: "number", step: "any", required: true, value, min, max});
}
