// Elements, made in one line. Text goes in as text, never as markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes, handlers (`on`), CSS variables (`vars`) and children (elements, or strings as text). */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, { on = {}, vars = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  for (const [name, handler] of Object.entries(on)) node.addEventListener(name, handler);
  for (const [name, value] of Object.entries(vars)) node.style.setProperty(name, value);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

/** Put `children` in the place of all that is in `node`. */
export function fill(node, ...children) {
  node.replaceChildren(...children.flat().filter(Boolean));
  return node;
}

/** A table that scrolls by itself where it is too wide, for the keyboard too. */
export function scrolling(label, table) {
  return el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);
}

/** A table from headings and rows of cells; a heading that starts with # is a number's, one with ~ is left out on a phone, one with ! is for screen readers. */
export function table(caption, headings, rows) {
  const kinds = headings.map((heading) => [heading.includes("#") && "number", heading.includes("~") && "wide"].filter(Boolean).join(" "));
  const cell = (tag) => (content, k) => el(tag, { class: kinds[k] || null, scope: tag === "th" && "col" }, ...[content].flat());
  const head = headings.map((heading) => {
    const text = heading.replace(/^[#~!]+/, "");
    return heading.startsWith("!") ? el("span", { class: "hidden" }, text) : text;
  });
  return el(
    "table", {},
    caption && el("caption", {}, caption),
    el("thead", {}, el("tr", {}, head.map((text, k) => cell(text ? "th" : "td")(text, k)))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map(cell("td"))))),
  );
}
