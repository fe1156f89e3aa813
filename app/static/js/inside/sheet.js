// One picture of weights with zoom; on the first layer's, a tile can be pointed at.

import { getJson, showPicture } from "../api.js";
import { el, fill } from "../dom.js";
import { failure } from "../failure.js";

const ZOOMS = [1, 1.5, 2, 3, 4, 6];
const TILE = 28;

export function sheet(state, version, name, choose) {
  const image = el("img", { alt: `${name}: weights`, class: "pixels" });
  const paper = el("div", { class: "paper", vars: { "--zoom": state.zoom } }, image);
  const view = el("div", { class: "view", tabindex: "0", role: "group", "aria-label": `${name}, picture of the weights` }, paper);
  const figure = el("figure", { class: "sheet" }, el("figcaption", {}, name), view, zoomButtons(state, paper));
  const path = `weights/${state.picture}.png?version=${version}&normalize=${state.normalize}&scale=1`;
  const load = () =>
    showPicture(image, path).catch((error) => fill(paper, failure(error, () => (fill(paper, image), load()))));
  load();
  if (state.picture === "w1") pointing(figure, view, paper, image, state, version, choose);
  return figure;
}

function zoomButtons(state, paper) {
  const zoom = (step) => () => {
    const next = ZOOMS[ZOOMS.indexOf(state.zoom) + step];
    if (next) paper.style.setProperty("--zoom", (state.zoom = next));
  };
  const button = (text, label, step) => el("button", { type: "button", "aria-label": label, on: { click: zoom(step) } }, text);
  return el("div", { class: "zoom buttons" }, button("−", "Smaller", -1), button("+", "Larger", 1));
}

/** The tile under the pointer, or the one that the arrow keys reach, is marked and chosen. */
async function pointing(figure, view, paper, image, state, version, choose) {
  const mark = el("div", { class: "mark", hidden: true });
  const layout = await getJson(`weights/w1/0?version=${version}`).catch(() => null);
  if (!layout) return;
  const { units, columns, gutter } = layout;
  const pitch = TILE + gutter;
  const [width, height] = [columns * pitch + gutter, Math.ceil(units / columns) * pitch + gutter];
  const show = () => {
    const [row, column] = [Math.floor(state.unit / columns), state.unit % columns];
    const share = (pixels, whole) => `${(100 * pixels) / whole}%`;
    Object.assign(mark.style, { left: share(gutter + column * pitch, width), top: share(gutter + row * pitch, height), width: share(TILE, width), height: share(TILE, height) });
    mark.hidden = state.unit >= units;
  };
  const pick = (unit) => unit >= 0 && unit < units && unit !== state.unit && choose(unit);
  paper.append(mark);
  figure.addEventListener("unit", show);
  show();
  view.setAttribute("aria-label", `${view.getAttribute("aria-label")}. Arrow keys choose one of ${units} units.`);
  image.addEventListener("pointermove", (event) => {
    const [column, row] = [event.offsetX / image.clientWidth * width, event.offsetY / image.clientHeight * height].map((at) => Math.floor((at - gutter / 2) / pitch));
    if (column < columns) pick(row * columns + column);
  });
  view.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (!step) return;
    event.preventDefault();
    pick(state.unit + step);
    mark.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
}
