// The answer: a label, how sure, ten bars, which model.

import { el, fill } from "../dom.js";
import { probability } from "../format.js";

export function showWaiting(place) {
  place.setAttribute("aria-busy", "true");
}

export function showAnswer(place, prediction, truth) {
  place.setAttribute("aria-busy", "false");
  place.classList.toggle("unsure", prediction.unfamiliar === true);
  fill(place, headline(prediction), truth && comparison(prediction, truth), prediction.unfamiliar && notice(), bars(prediction), model(prediction));
}

function headline(prediction) {
  const { label, confidence, unfamiliar } = prediction;
  return el(
    "div", {},
    el("h2", {}, unfamiliar ? `${label}?` : label),
    el("p", { class: "sure" }, unfamiliar ? "It cannot know this one" : `${probability(confidence)} sure`),
  );
}

function comparison(prediction, truth) {
  const right = prediction.label === truth;
  return el("p", { class: right ? "good" : "danger" }, right ? "Right: the dataset says the same." : `Wrong: the dataset says ${truth}.`);
}

function notice() {
  return el(
    "div", { class: "notice" },
    el("p", {}, "This is unlike anything it was trained on. It has to pick one of its ten garments, so take this for a guess."),
  );
}

function bars({ probabilities, label }) {
  const rows = Object.entries(probabilities).map(([name, p]) =>
    el(
      "li", { class: name === label && "first" },
      el("span", {}, name),
      el("span", { class: "track", "aria-hidden": "true" }, el("span", { class: "bar", vars: { "--share": p } })),
      el("span", { class: "value" }, probability(p)),
    ),
  );
  return el("ol", { class: "bars", "aria-label": "Probability of each garment" }, rows);
}

function model({ model: { version, sha256 } }) {
  return el("p", { class: "model quiet", title: `SHA-256 ${sha256}` }, "Answered by ", el("a", { href: `#models/${version}` }, `model version ${version}`));
}
