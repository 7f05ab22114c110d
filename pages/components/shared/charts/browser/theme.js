// Colours and type of Streamlit's theme, as Plotly's template: read from the page, and again when a visitor switches.
let template;

export function themed(element) {
  return template ??= read(getComputedStyle(element));
}

// element: one that has the theme's values as its own; their class is another when the theme is.
export function watch(element, redraw) {
  const observer = new MutationObserver(() => {
    template = undefined;
    redraw();
  });
  observer.observe(element, {attributes: true, attributeFilter: ["class"]});
  return () => observer.disconnect();
}

// The same in black on white. size: of most of the type, in pixels.
export function printed(element, size) {
  return read(getComputedStyle(element), {"text-color": "#000000", "background-color": "#ffffff", "base-font-size": size / 0.75});
}

function read(style, instead = {}) {
  const of = name => instead[name] ?? style.getPropertyValue(`--st-${name}`).trim();
  const text = of("text-color"), ground = of("background-color"), family = of("font");
  const base = parseFloat(of("base-font-size")) || 16;
  const color = mixed(text, ground, 0.78), line = mixed(text, ground, 0.2);
  const small = {color, family, size: 0.75 * base}, title = {font: {...small, size: 0.875 * base}};
  const axis = {
    title, tickfont: small, tickcolor: line, gridcolor: line, zerolinecolor: line, ticklabelposition: "outside",
    ticklabeloverflow: "allow"};  // to look for labels past the edge takes Plotly a tenth of a drawing
  return {layout: {
    font: small,
    title: {font: {...small, size: base, color: text}, x: 0, xanchor: "left"},
    margin: {pad: 0.5 * base},
    xaxis: {...axis, title: {...title, standoff: 1.25 * base}, showgrid: false, zeroline: false},
    yaxis: {...axis, title: {...title, standoff: 1.5 * base}},
    hoverlabel: {bgcolor: ground, bordercolor: line, font: small},
    colorway: of("chart-categorical-colors").split(","),
  }};
}

function mixed(over, under, part) {
  const [a, b] = [rgb(over), rgb(under)];
  return `rgb(${a.map((n, i) => Math.round(part * n + (1 - part) * b[i])).join(", ")})`;
}

function rgb(color) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.fillStyle = color;
  pen.fillRect(0, 0, 1, 1);
  return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
}
