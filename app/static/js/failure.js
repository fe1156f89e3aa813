// What went wrong, why, and a way on.

import { isSecondHalf } from "./clicks.js";
import { el, fill } from "./dom.js";

/** A box with the reason; `again`, where given, is tried on a click. */
export function failure(error, again) {
  return el(
    "div", { class: "failure", role: "alert" },
    el("p", {}, error.message),
    again && el("button", { type: "button", on: { click: again } }, "Try again"),
  );
}

/** Do `work`; where it fails, say so inside `place`, with a button that does it again. */
export async function attempt(place, work) {
  try {
    await work();
  } catch (error) {
    if (error.name === "AbortError") return;
    fill(place, failure(error, () => attempt(place, work)));
  }
}

/** Disable `button` while `work` runs; a failure appears in `place`, which is emptied first. The second half of a double click does nothing. */
export async function busy(button, place, work) {
  if (isSecondHalf()) return;
  button.disabled = true;
  fill(place);
  try {
    await work();
  } catch (error) {
    fill(place, failure(error));
  } finally {
    button.disabled = false;
  }
}
