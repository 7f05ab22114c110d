// The legend, which quantviz draws as one line of text: which entry is pressed, and how one looks that is switched off.
const BETWEEN = " \u2003", MARK = /^<span[^>]*>.*?<\/span> /;
const EDGE = 8, ROW = 18 / 13;  // pixels at the right, and the height of a row by the size of its type
const measure = document.createElement("canvas").getContext("2d");

// The name of the entry at the place of a click, or undefined.
export function pressed(node, {annotation, index, event}) {
  if (annotation.name !== "legend") return undefined;
  const text = node.querySelector(`.annotation[data-index="${index}"] text`);
  const names = annotation.text.split(BETWEEN).map(named), shown = text.textContent.split("\u2003");
  const across = event.clientX - text.getBoundingClientRect().left;
  let letters = 0;
  const at = shown.findIndex(part => {
    letters += part.length + 1;
    return letters > text.textContent.length || across < text.getSubStringLength(0, letters);
  });
  return names[at];
}

export function struck(annotation, hidden) {
  if (annotation.name !== "legend" || !hidden.size) return;
  annotation.text = annotation.text.split(BETWEEN)
    .map(entry => hidden.has(named(entry)) ? entry.replace(MARK, mark => `${mark}<s>`) + "</s>" : entry).join(BETWEEN);
}

// Breaks legends into rows where they are wider than the figure; its head then grows by the rows that are more.
export function wrapped(layout, width, family) {
  const legends = (layout.annotations ?? []).filter(note => note.name === "legend" && note.text);
  const shift = note => note.yshift ?? 0, topmost = [...legends].sort((a, b) => shift(b) - shift(a));
  const rows = topmost.flatMap(note => broken(note, width - (layout.margin?.l ?? 0) - (note.xshift ?? 0) - EDGE, family));
  if (rows.length === legends.length) return;
  const lowest = shift(topmost.at(-1)), height = ROW * rows[0].font.size;
  const placed = rows.map((note, i) => ({...note, yshift: lowest + height * (rows.length - 1 - i)}));
  layout.annotations = [...placed, ...layout.annotations.filter(note => !legends.includes(note))];
  layout.margin = {...layout.margin, t: (layout.margin?.t ?? 0) + height * (rows.length - legends.length)};
}

function broken(note, room, family) {
  measure.font = `${note.font.size}px ${family}`;
  const rows = [];
  let left = 0;
  for (const entry of note.text.split(BETWEEN)) {
    const width = measure.measureText(`${read(entry)} \u2003`).width;
    if (rows.length && width <= left) rows.at(-1).push(entry);
    else {
      rows.push([entry]);
      left = room;
    }
    left -= width;
  }
  return rows.map(row => ({...note, text: row.join(BETWEEN)}));
}

function named(entry) {
  return read(entry.replace(MARK, ""));
}

function read(html) {
  const words = document.createElement("textarea");  // turns &lt; into <, and runs nothing
  words.innerHTML = html.replace(/<\/?s>|<\/?span[^>]*>/g, "");
  return words.value;
}
