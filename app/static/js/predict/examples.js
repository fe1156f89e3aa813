// Drawings that anyone can try at once.

import { send } from "../api.js";
import { el } from "../dom.js";

const EXAMPLES = ["ankle-boot", "bag", "dress", "pullover", "sandal", "sneaker", "t-shirt", "trouser"];

export function startExamples(one) {
  document.getElementById("examples").replaceChildren(...EXAMPLES.map((name) => el("li", {}, thumb(path(name), title(name), () => choose(name, one)))));
}

export const firstExample = (one) => choose(EXAMPLES[0], one);

/** A small picture to click on; only one of them is pressed at a time. */
export function thumb(src, text, chosen) {
  const image = el("img", { src, alt: "", width: 48, height: 48, class: "pixels", loading: "lazy" });
  const button = el("button", { type: "button", "aria-pressed": "false", on: { click: () => (press(button), chosen()) } }, image, text);
  return button;
}

function press(button) {
  for (const other of document.querySelectorAll(".thumbs [aria-pressed]")) other.setAttribute("aria-pressed", String(other === button));
}

function choose(name, one) {
  press(document.querySelector(`#examples img[src="${path(name)}"]`)?.parentElement);
  return one((signal) => fetched(name, signal), `a drawn ${title(name).toLowerCase()}`);
}

async function fetched(name, signal) {
  const content = await (await send(path(name), { signal })).blob();
  return new File([content], `${name}.png`, { type: "image/png" });
}

const path = (name) => `static/examples/${name}.png`;
const title = (name) => (name === "t-shirt" ? "T-shirt" : name.replace("-", " ").replace(/^./, (letter) => letter.toUpperCase()));
