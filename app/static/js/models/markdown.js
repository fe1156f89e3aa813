// As much Markdown as a model card uses: headings, paragraphs, tables, code.

import { el, table } from "../dom.js";

export function markdown(text) {
  return el("div", {}, text.trim().split(/\n(?=#)|\n\n/).flatMap(block));
}

function block(text) {
  const [first, ...rest] = text.split("\n");
  if (first.startsWith("#")) return [first.startsWith("##") ? el("h3", {}, first.replace(/^#+ /, "")) : null, rest.length ? block(rest.join("\n")) : null].flat().filter(Boolean);
  if (first.startsWith("|")) {
    const [head, , ...rows] = text.split("\n").map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
    return [table("", head, rows.map((cells) => cells.map(inline)))];
  }
  return [el("p", {}, inline(text))];
}

const inline = (text) => text.split(/`([^`]*)`/).map((part, k) => (k % 2 ? el("code", {}, part) : part));
