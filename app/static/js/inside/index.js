// Inside: the weights as pictures, of any version, or of two side by side.

import { getJson } from "../api.js";
import { el, fill } from "../dom.js";
import { attempt } from "../failure.js";
import { sheet } from "./sheet.js";
import { unitPanel } from "./unit.js";

const PICTURES = {
  w1: ["First layer", "What each unit of the first layer looks for: one tile a unit. Point at a tile, or use the arrow keys, to see what it is for."],
  "w1-pca": ["Directions", "The 20 directions along which the first layer's units differ most."],
  w3: ["Last layer", "What each of the ten garments takes from the second layer: one tile a garment."],
  combined: ["Together", "The three layers multiplied, without what happens between them: one tile a garment."],
};
const COLOURS = { tile: "Grey", signed: "Signed" };
const state = { picture: "w1", normalize: "tile", version: "", other: "", unit: 0, zoom: 1 };
let place;

export function start(section) {
  place = el("div");
  section.append(el("p", { class: "lead" }, "Weights are all that the network knows. Here they are as pictures."), place);
}

/** The list of versions may have changed since the part was last shown. */
export function shown() {
  attempt(place, async () => {
    const { current, models } = await getJson("models");
    const versions = models.map(({ version }) => String(version));
    if (!versions.includes(state.version)) state.version = String(current);
    if (!versions.includes(state.other)) state.other = "";
    draw(versions, current);
  });
}

function draw(versions, current) {
  const sheets = el("div", { class: "sheets" });
  const about = el("p", { class: "quiet" });
  const panels = el("div", { class: "facts", "aria-live": "polite" });
  const body = el("div", {}, sheets, panels);
  const names = Object.fromEntries(versions.map((version) => [version, `Version ${version}${Number(version) === current ? " (serves)" : ""}`]));
  const set = (name) => (value) => {
    state[name] = value;
    show();
  };
  const choose = (unit) => {
    state.unit = unit;
    for (const each of sheets.children) each.dispatchEvent(new CustomEvent("unit"));
    attempt(panels, () => unitPanel(panels, state, choose));
  };
  const show = () => {
    const wanted = [state.version, state.other].filter(Boolean);
    body.classList.toggle("beside", state.picture === "w1" && wanted.length === 1);
    about.textContent = PICTURES[state.picture][1];
    fill(sheets, wanted.map((version) => sheet(state, version, names[version], choose)));
    if (state.picture === "w1") choose(state.unit);
    else fill(panels);
  };
  fill(
    place,
    el(
      "div", { class: "toolbar" },
      choices("Picture", Object.entries(PICTURES).map(([key, [name]]) => [key, name]), state.picture, set("picture")),
      choices("Colours", Object.entries(COLOURS), state.normalize, set("normalize")),
      select("Version", names, state.version, set("version")),
      versions.length > 1 && select("Beside it", { "": "none", ...names }, state.other, set("other")),
    ),
    about,
    body,
  );
  show();
}

function choices(legend, options, chosen, changed) {
  const option = ([value, text]) =>
    el(
      "label", {},
      el("input", { class: "hidden", type: "radio", name: legend, value, checked: value === chosen, on: { change: () => changed(value) } }),
      el("span", {}, text),
    );
  return el("fieldset", { class: "choices" }, el("legend", {}, legend), options.map(option));
}

function select(label, options, chosen, changed) {
  const items = Object.entries(options).map(([value, text]) => el("option", { value, selected: value === chosen }, text));
  return el("label", {}, label, el("select", { on: { change: (event) => changed(event.target.value) } }, items));
}
