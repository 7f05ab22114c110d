// The legend, which quantviz draws as one line of text: which entry is pressed, and how one looks that is switched off.
const BETWEEN = " \u2003", MARK = /^<span[^>]*>.*?<\/span> /;

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

function named(entry) {
  const words = document.createElement("textarea");  // turns &lt; into <, and runs nothing
  words.innerHTML = entry.replace(MARK, "").replace(/<\/?s>/g, "");
  return words.value;
}
