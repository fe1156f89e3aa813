// Why: what each pixel adds to the winner and to the runner-up, and the units that were most active.

import { showPicture } from "../api.js";
import { el, fill } from "../dom.js";
import { signed } from "../format.js";

const SIDE = 28;
const RED = [200, 30, 45];
const BLUE = [40, 105, 190];

export function showWhy(place, explanation, seen) {
  const { winner, runner_up: runnerUp, check } = explanation;
  const largest = Math.max(...[winner, runnerUp].flatMap((each) => each.contributions.map(Math.abs)));
  fill(
    place,
    el(
      "div", { class: "why" },
      el("h2", {}, "Why"),
      el("p", {}, "For one picture the network is exactly a sum: each pixel adds to a garment's score or takes from it. The highest score wins."),
      el("div", { class: "legend" }, el("span", { class: "for" }, "speaks for it"), el("span", { class: "against" }, "speaks against it")),
      el("div", { class: "pair" }, [winner, runnerUp].map((each) => signedPicture(each, seen, largest))),
      el("p", { class: "quiet" }, `The sums agree with the network to ${check.largest_error.toExponential(0)}${check.holds ? "." : ", which is too much: please report it."}`),
      units(explanation),
    ),
  );
}

/** The picture the network saw, in grey, under what its pixels add. */
function signedPicture({ label, logit, bias, contributions }, seen, largest) {
  const pixels = logit - bias;
  const text = `${label}: pixels ${signed(pixels)}, bias ${signed(bias)}, score ${signed(logit)}`;
  const canvas = el("canvas", { width: SIDE, height: SIDE, class: "pixels", role: "img", "aria-label": `What speaks for and against ${label}` });
  const pen = canvas.getContext("2d");
  const greys = seen.getContext("2d").getImageData(0, 0, SIDE, SIDE).data;
  const image = pen.createImageData(SIDE, SIDE);
  contributions.forEach((value, k) => {
    const strength = Math.min(1, Math.sqrt(Math.abs(value) / largest) * 1.15);
    const ground = 40 + greys[4 * k] * 0.55;
    const colour = (value < 0 ? BLUE : RED).map((part) => ground * (1 - strength) + part * strength);
    image.data.set([...colour, 255], 4 * k);
  });
  pen.putImageData(image, 0, 0);
  return el("figure", {}, canvas, el("figcaption", {}, text));
}

function units({ units: active, active_units: count, hidden_units: all, winner, runner_up: runnerUp }) {
  const list = el("ul", { class: "units" });
  const details = el("details", {}, el("summary", {}, `The most active of ${count} active units (of ${all})`), list);
  details.addEventListener("toggle", () => {
    if (details.open && !list.children.length) fill(list, active.map((unit) => item(unit, winner.label, runnerUp.label)));
  });
  return details;
}

function item(unit, winner, runnerUp) {
  const image = el("img", { alt: `Weights of unit ${unit.unit}`, class: "tile pixels", width: 112, height: 112 });
  showPicture(image, `${unit.tile.slice(1)}&normalize=signed&scale=1`).catch((error) => (image.alt += `: ${error.message}`));
  const feeds = unit.feeds.map((feed) => `${feed.unit} (${signed(feed.adds, 1)})`).join(", ");
  return el(
    "li", {},
    image,
    el("strong", {}, `Unit ${unit.unit}`),
    ` at ${unit.activation.toFixed(1)}`,
    el("br"), `${winner} `, amount(unit.winner),
    el("br"), `${runnerUp} `, amount(unit.runner_up),
    el("br"), `most for ${unit.speaks_for}`,
    el("br"), el("span", { class: "quiet" }, `feeds ${feeds}`),
  );
}

const amount = (value) => el("span", { class: value < 0 ? "against" : "for" }, signed(value));
