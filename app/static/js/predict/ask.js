// A picture goes to the service, as a photograph unless it is one of the dataset's kind already: 28 x 28 and dark at its edge.

import { getJson } from "../api.js";

export const SIDE = 28;

export const explain = (file, signal) => ask("explain", file, signal);
export const predict = (file, signal) => ask("predict", file, signal);

async function ask(route, file, signal) {
  const query = (await isReady(file)) ? "" : "?prepare=photo&picture=true";
  const type = file.type.startsWith("image/") ? file.type : "image/unknown";
  return getJson(`${route}${query}`, { method: "POST", headers: { "Content-Type": type }, body: file, signal });
}

/** Whether the network can take the picture as it is. What the browser cannot read is left to the service to judge. */
async function isReady(file) {
  try {
    const bitmap = await bitmapOf(file);
    return bitmap.width === SIDE && bitmap.height === SIDE && edgeLightness(lightness(bitmap)) < 100;
  } catch {
    return false;
  }
}

/** A picture's pixels as they stand in its file, not adapted to the screen: so the service reads them. */
export function bitmapOf(file) {
  return createImageBitmap(file, { colorSpaceConversion: "none" });
}

/** The 784 grey values of a bitmap drawn at 28 x 28. */
export function lightness(bitmap) {
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(bitmap, 0, 0, SIDE, SIDE);
  const { data } = pen.getImageData(0, 0, SIDE, SIDE);
  return Array.from({ length: SIDE * SIDE }, (_, k) => {
    const [red, green, blue, alpha] = data.subarray(4 * k, 4 * k + 4);
    return ((0.299 * red + 0.587 * green + 0.114 * blue) * alpha) / 255;
  });
}

function edgeLightness(greys) {
  const edge = greys.filter((_, k) => k < SIDE || k >= SIDE * (SIDE - 1) || k % SIDE === 0 || k % SIDE === SIDE - 1);
  return edge.reduce((sum, grey) => sum + grey, 0) / edge.length;
}
