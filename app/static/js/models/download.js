// A weights file, saved: links cannot carry the token.

import { pictureUrl } from "../api.js";
import { el } from "../dom.js";

export async function download(version) {
  const url = await pictureUrl(`models/${version}/weights.npz`);
  el("a", { href: url, download: `rookie-${version}.npz` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
