// The tools of a figure: below its right corner, where no legend and no data are; behind one button where one touches.
import {ask} from "./paper.js";

const ICONS = {
  zoom: "M10 3a7 7 0 1 0 4.2 12.6l4.6 4.6 1.4-1.4-4.6-4.6A7 7 0 0 0 10 3Zm0 2a5 5 0 1 1 0 10 5 5 0 0 1 0-10Z",
  pan: "M12 2 8.5 5.5H11V11H5.500V8.500L2 12l3.500 3.500V13H11v5.500H8.500L12 22l3.500-3.500H13V13h5.500v2.500L22 12l-3.500-3.500V11H13V5.500h2.500Z",
  reset: "M12 4 3 12h3v8h5v-5h2v5h5v-8h3Z",
  whole: "M4 9V4h5v2H6v3Zm11-5h5v5h-2V6h-3ZM6 15v3h3v2H4v-5Zm12 0h2v5h-5v-2h3Z",
  camera: "M9 4 7.500 6H4v13h16V6h-3.500L15 4Zm3 4.500a4 4 0 1 1 0 8 4 4 0 0 1 0-8Zm0 2a2 2 0 1 0 0 4 2 2 0 0 0 0-4Z",
  paper: "M6 2h8l5 5v15H6Zm2 2v16h9V8h-4V4Zm2 7h5v1.500h-5Zm0 3h5v1.500h-5Z",
  more: "M5 10a2 2 0 1 0 0 4 2 2 0 0 0 0-4Zm7 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4Zm7 0a2 2 0 1 0 0 4 2 2 0 0 0 0-4Z",
};

export function bar(figure, Plotly) {
  const {node, box} = figure;
  const tools = document.createElement("div");
  tools.className = "qv-bar";
  const pointing = ["zoom", "pan"].map(tool => button(tool, tool === "zoom" ? "Zoom" : "Move", () => use(tool)));
  function use(tool) {
    if (tool) figure.use(tool);
    const now = node._fullLayout.dragmode;
    pointing.forEach((b, i) => b.setAttribute("aria-pressed", now === ["zoom", "pan"][i]));
  }
  const others = [
    button("reset", "Show all", () => figure.reset()),
    button("whole", "Whole screen", () => document.fullscreenElement ? document.exitFullscreen() : box.requestFullscreen()),
    button("camera", "Save as a picture", () => Plotly.downloadImage(node, {...figure.facts.picture, ...figure.drawn})),
    button("paper", "Save for a paper", () => ask(figure, Plotly)),
  ];
  const more = button("more", "Tools of the figure", () => {
    more.setAttribute("aria-expanded", box.classList.toggle("qv-open"));
  });
  more.classList.add("qv-more");
  more.setAttribute("aria-expanded", false);
  tools.append(...(node._fullLayout._has("cartesian") ? pointing : []), ...others, more);
  use();
  return tools;
}

function button(icon, name, press) {
  const made = document.createElement("button");
  Object.assign(made, {type: "button", title: name, ariaLabel: name, onclick: press});
  made.innerHTML = `<svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true"><path d="${ICONS[icon]}"/></svg>`;
  return made;
}
