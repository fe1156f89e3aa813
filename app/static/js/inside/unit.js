// One unit of the first layer: its tile, what it feeds, which garments it speaks for. For each version that is shown.

import { getJson, showPicture } from "../api.js";
import { el, fill } from "../dom.js";
import { signed } from "../format.js";
import { newest } from "../newest.js";

const nextUnit = newest();

export async function unitPanel(place, state, choose) {
  const signal = nextUnit();
  const versions = [state.version, state.other].filter(Boolean);
  const ask = (version) => getJson(`weights/w1/${state.unit}?version=${version}`, { signal }).catch((error) => ({ version, error }));
  const facts = await Promise.all(versions.map(ask));
  signal.throwIfAborted(); // the pointer has gone on
  const focused = document.activeElement?.id === "unit";
  fill(place, picker(facts, state, choose), el("div", { class: "sheets" }, facts.map((each) => panel(each, state))));
  if (focused) document.getElementById("unit").focus();
}

function picker(facts, state, choose) {
  const most = Math.max(...facts.map((each) => each.units ?? 1)) - 1;
  const changed = (event) => event.target.checkValidity() && event.target.value !== "" && choose(Number(event.target.value));
  return el(
    "div", { class: "toolbar" },
    el("label", { for: "unit" }, `Unit, 0 to ${most}`, el("input", { id: "unit", type: "number", min: 0, max: most, value: state.unit, on: { change: changed } })),
  );
}

function panel(facts, state) {
  if (facts.error) return el("p", { class: "quiet" }, `Version ${facts.version}: ${facts.error.message}`);
  const image = el("img", { alt: `Weights of unit ${facts.unit}`, class: "pixels", width: 112, height: 112 });
  showPicture(image, `${facts.picture.slice(1)}&normalize=${state.normalize}&scale=1`).catch((error) => (image.alt += `: ${error.message}`));
  return el(
    "div", { class: "panel unit" },
    image,
    el(
      "div", {},
      el("h2", {}, `Unit ${facts.unit} of version ${facts.version}`),
      el("p", { class: "quiet" }, `Feeds units ${facts.feeds.map(({ unit, weight }) => `${unit} (${signed(weight)})`).join(", ")} of the second layer.`),
      pulls(facts.speaks_for),
    ),
  );
}

/** Which garments the unit speaks for (right) and against (left), where nothing stops it on the way. */
function pulls(classes) {
  const largest = Math.max(...Object.values(classes).map(Math.abs)) || 1;
  const row = ([name, value]) => {
    const bar = el("i", { vars: { "--share": Math.abs(value) / largest } });
    return el(
      "li", {},
      el("span", {}, name),
      el("span", { class: "left", "aria-hidden": "true" }, value < 0 && bar),
      el("span", { class: "right", "aria-hidden": "true" }, value >= 0 && bar),
      el("span", { class: "value" }, signed(value)),
    );
  };
  return el("ul", { class: "pulls", "aria-label": "Speaks for" }, Object.entries(classes).map(row));
}
