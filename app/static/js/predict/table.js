// Several pictures at once: a table, which can be saved.

import { el, fill, scrolling, table } from "../dom.js";
import { probability } from "../format.js";
import { predict } from "./ask.js";

const AT_ONCE = 3;

/** Ask about each file and show the answers as they come, until `signal` calls it off. */
export async function showTable(place, files, one, signal) {
  const rows = files.map((file) => ({ file, prediction: null, error: null }));
  const told = el("span", { role: "status" });
  const body = el("div");
  const show = () => draw(told, body, rows, one, ask);
  const ask = (wanted) => inTurn(wanted, async (row) => {
    await answer(row, signal);
    if (!signal.aborted) show();
  });
  fill(place, el("h2", {}, told), body);
  show();
  place.scrollIntoView({ block: "nearest" });
  await ask(rows);
}

/** Do `work` on each of `rows`, a few at once. */
async function inTurn(rows, work) {
  const left = [...rows];
  const worker = async () => {
    while (left.length) await work(left.shift());
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function answer(row, signal) {
  row.error = null;
  if (signal.aborted) return;
  try {
    row.prediction = await predict(row.file, signal);
  } catch (error) {
    row.error = error;
  }
}

function draw(told, body, rows, one, ask) {
  const failed = rows.filter((row) => row.error);
  const done = rows.filter((row) => row.prediction).length + failed.length;
  told.textContent = done < rows.length ? `${done} of ${rows.length} pictures` : `${rows.length} pictures`;
  fill(
    body,
    scrolling("Answers", table("", ["Picture", "Answer", "#Sure", "!Why"], rows.map((row) => cells(row, one)))),
    el(
      "div", { class: "buttons" },
      el("button", { type: "button", disabled: done < rows.length, on: { click: () => save(rows) } }, "Save as CSV"),
      failed.length > 0 && el("button", { type: "button", on: { click: () => ask(failed) } }, "Try the failed ones again"),
    ),
  );
}

function cells({ file, prediction, error }, one) {
  if (error) return [file.name, el("span", { class: "danger" }, error.message), "", ""];
  if (!prediction) return [file.name, "…", "", ""];
  const look = el("button", { type: "button", class: "plain", on: { click: () => one(() => file, file.name) } }, "Why?");
  const label = prediction.unfamiliar ? [`${prediction.label}? `, el("span", { class: "badge" }, "unfamiliar")] : prediction.label;
  return [file.name, label, probability(prediction.confidence), look];
}

function save(rows) {
  const link = el("a", { href: URL.createObjectURL(new Blob([csv(rows)], { type: "text/csv" })), download: "rookie.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** One line a picture, RFC 4180; a cell that a spreadsheet would take for a formula is made text. */
export function csv(rows) {
  const names = Object.keys(rows.find((row) => row.prediction)?.prediction.probabilities ?? {});
  const lines = rows.map(({ file, prediction, error }) =>
    prediction
      ? [file.name, prediction.label, prediction.confidence, prediction.unfamiliar, prediction.model.version, "", ...names.map((name) => prediction.probabilities[name])]
      : [file.name, "", "", "", "", error?.message ?? "", ...names.map(() => "")],
  );
  const head = ["file", "label", "confidence", "unfamiliar", "model_version", "error", ...names];
  return [head, ...lines].map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
}

function quoted(value) {
  const text = String(value ?? "");
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
