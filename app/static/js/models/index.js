// Models: the versions that there are, which one serves, and the way to another.

import { getJson, send, sendJson } from "../api.js";
import { isSecondHalf } from "../clicks.js";
import { el, fill, scrolling, table } from "../dom.js";
import { attempt, busy } from "../failure.js";
import { moment, percent } from "../format.js";
import { newest } from "../newest.js";
import { showDetail } from "./detail.js";
import { download } from "./download.js";
import { uploadForm } from "./upload.js";

const nextList = newest();
let place, told, detail;

export function start(section) {
  place = el("div", { class: "models" });
  told = el("div", { role: "status" });
  detail = el("div");
  section.append(
    el("p", { class: "lead" }, "Every network that was trained or uploaded here. One of them serves."),
    told, place, uploadForm(refresh), detail,
  );
}

export async function shown() {
  await refresh();
  const version = Number(location.hash.split("/")[1]);
  if (version) attempt(detail, () => showDetail(detail, version));
}

function refresh() {
  return attempt(place, async () => {
    const list = await getJson("models", { signal: nextList() });
    fill(
      place,
      scrolling("List of versions", table("", ["#Version", "!Serves", "#Validation", "~#Test", "~Made", "~From", "!What to do"], list.models.map(cells))),
      list.previous !== null && el("div", { class: "buttons" }, rollBack(list.previous)),
    );
  });
}

function rollBack(previous) {
  const button = el("button", { type: "button", on: { click: () => activate(button, previous) } }, `Roll back to version ${previous}`);
  return button;
}

function cells(model) {
  const { version, current, validation_accuracy: validation, test_accuracy: test, created, source, job } = model;
  return [
    String(version),
    current ? el("span", { class: "badge" }, "serves") : "",
    percent(validation, 2), percent(test, 2), moment(created),
    job ? `job ${job}` : source,
    el("div", { class: "buttons" }, actions(model)),
  ];
}

function actions({ version, current }) {
  const button = (text, work, extra = "") => {
    const node = el("button", { type: "button", class: extra, "aria-label": `${text} version ${version}`, on: { click: () => work(node) } }, text);
    return node;
  };
  return [
    button("Look", () => attempt(detail, () => showDetail(detail, version))),
    !current && button("Activate", (node) => activate(node, version)),
    button("Download", (node) => busy(node, told, () => download(version))),
    !current && button("Delete", (node) => remove(node, version), "danger"),
  ];
}

function activate(button, version) {
  return busy(button, told, async () => {
    await change(() => sendJson("PUT", "models/current", { version }));
    fill(told, el("p", { class: "good" }, `Version ${version} serves.`));
  });
}

function remove(button, version) {
  if (button.textContent === "Delete") {
    if (isSecondHalf()) return null;
    button.textContent = "Delete for good?";
    button.addEventListener("blur", () => (button.textContent = "Delete"), { once: true });
    return null;
  }
  return busy(button, told, async () => {
    await change(() => send(`models/${version}`, { method: "DELETE" }));
    fill(told, el("p", { class: "good" }, `Version ${version} is deleted.`));
    fill(detail);
  });
}

/** Do `work` and show what there is then: where it fails, the list may be of before. */
async function change(work) {
  try {
    await work();
  } finally {
    await refresh();
  }
}
