// One version: its confusion matrix and its card.

import { getJson, send } from "../api.js";
import { el, fill, scrolling } from "../dom.js";
import { newest } from "../newest.js";
import { markdown } from "./markdown.js";

const nextDetail = newest();

export async function showDetail(place, version) {
  const signal = nextDetail();
  const [{ card }, text] = await Promise.all([getJson(`models/${version}`, { signal }), send(`models/${version}/card.md`, { signal }).then((answer) => answer.text())]);
  const title = el("h2", { tabindex: "-1" }, `Version ${version}`);
  fill(place, title, confusion(card), el("details", { class: "card" }, el("summary", {}, "Model card"), markdown(text)));
  title.focus();
}

function confusion({ classes, metrics: { confusion: counts } }) {
  if (!counts) return el("p", { class: "quiet" }, "This version's card has no confusion matrix.");
  const body = counts.map((row, truth) => {
    const images = row.reduce((sum, count) => sum + count, 0) || 1;
    const cell = (count, k) => el("td", { class: [k !== truth && "wrong", !count && "none"].filter(Boolean).join(" "), vars: { "--share": count / images } }, String(count));
    return el("tr", {}, el("th", { scope: "row" }, classes[truth]), row.map(cell));
  });
  return scrolling(
    "Confusion matrix",
    el(
      "table", { class: "confusion" },
      el("caption", {}, "Test images: rows are what they truly are, columns what the network said."),
      el("thead", {}, el("tr", {}, el("td"), classes.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, body),
    ),
  );
}
