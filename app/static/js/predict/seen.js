// What came in, and beside it what the network sees of it.

import { el, fill } from "../dom.js";
import { bitmapOf, lightness, SIDE } from "./ask.js";

let shownUrl = null;

/** Show the picture as it came. */
export function showIncoming(place, file, title) {
  if (shownUrl) URL.revokeObjectURL(shownUrl);
  shownUrl = URL.createObjectURL(file);
  const image = el("img", { src: shownUrl, alt: `What came in: ${title}`, class: "pixels" });
  image.addEventListener("load", () => image.classList.toggle("pixels", image.naturalWidth <= 4 * SIDE));
  image.addEventListener("error", () => image.replaceWith(el("span", { class: "quiet" }, "no picture")));
  const seen = el("canvas", { width: SIDE, height: SIDE, class: "pixels", role: "img", "aria-label": "What the network sees, 28 by 28 pixels" });
  fill(place, captioned(image, "What came in"), captioned(seen, "What the network sees"));
  place.parentElement.querySelector(".steps")?.remove();
}

function captioned(picture, text) {
  return el("figure", {}, el("div", { class: "frame" }, picture), el("figcaption", {}, text));
}

/** The 784 grey values that the network saw of a picture. */
export async function whatItSaw(file, { prepared }) {
  return lightness(prepared ? await decoded(prepared.picture) : await bitmapOf(file));
}

/** Show what the network saw, and what was done to get there. */
export function showPrepared(place, greys, { prepared }) {
  paint(place.querySelector("canvas"), greys);
  place.parentElement.querySelector(".steps")?.remove();
  place.after(steps(prepared));
}

async function decoded(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

function paint(canvas, greys) {
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const image = pen.createImageData(SIDE, SIDE);
  greys.forEach((grey, k) => image.data.set([grey, grey, grey, 255], 4 * k));
  pen.putImageData(image, 0, 0);
}

function steps(prepared) {
  if (!prepared) return el("p", { class: "steps quiet" }, "Taken as it is: 28 × 28, not inverted.");
  return el(
    "details", { class: "steps" },
    el("summary", {}, `${prepared.width} × ${prepared.height} became 28 × 28, ${prepared.inverted ? "inverted" : "not inverted"}`),
    el("ol", {}, prepared.steps.map((step) => el("li", {}, step))),
  );
}
