// Test images with their true labels, where the server has the dataset; nothing is shown where it has not.

import { getJson, send } from "../api.js";
import { el, fill } from "../dom.js";
import { attempt } from "../failure.js";
import { newest } from "../newest.js";
import { thumb } from "./examples.js";

const PAGE = 12;

export function startGallery(one) {
  const place = document.getElementById("gallery");
  const list = el("ul", { class: "thumbs", "aria-label": "Test images" });
  const more = el("div", { class: "buttons" });
  const nextPage = newest();
  fill(place, el("details", { on: { toggle: () => !list.children.length && attempt(more, () => page(0)) } }, el("summary", {}, "Test images of the dataset"), list, more));

  async function page(offset) {
    const signal = nextPage();
    const { count, samples } = await getJson(`samples?offset=${offset}&limit=${PAGE}`, { signal });
    const items = await Promise.all(samples.map((sample) => item(sample, signal)));
    signal.throwIfAborted();
    fill(list, items);
    const step = (text, to) => el("button", { type: "button", disabled: to < 0 || to >= count, on: { click: () => attempt(more, () => page(to)) } }, text);
    const any = Math.floor(Math.random() * (count - PAGE));
    fill(more, step("Back", offset - PAGE), step("On", offset + PAGE), step("Anywhere", Math.max(any, 0)), el("span", { class: "quiet" }, `${offset + 1} to ${offset + samples.length} of ${count}`));
  }

  async function item({ index, label, picture }, signal) {
    const file = new File([await (await send(picture.slice(1), { signal })).blob()], `test-${index}.png`, { type: "image/png" });
    return el("li", {}, thumb(URL.createObjectURL(file), label, () => one(() => file, `test image ${index}, ${label}`, label)));
  }

  getJson("samples?limit=1").then(({ count }) => (place.hidden = count === 0), () => (place.hidden = true));
}
