const at = document.querySelector('script[src*="static/js/"]').src.split("static/js/")[0];
const ours = () => import(at + "{ours}");
export default c => {
  ours().then(m => m.show(c));
  return () => ours().then(m => m.remove(c.parentElement));
};
