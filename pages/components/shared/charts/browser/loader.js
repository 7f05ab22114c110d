let module;
const page = document.querySelector('script[src*="static/js/"]')?.src ?? document.baseURI;
const base = page.replace(/static\/js\/.*$/, "");
const load = () => module ??= import(base + "{ours}figure.js").then(m => m.begin(base + "{plotly}").then(() => m));
export default function (component) {
  load().then(m => m.show(component), () => component.setTriggerValue("blocked", true));
  return () => module?.then(m => m.remove(component.parentElement), () => {});
}
