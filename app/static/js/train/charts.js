// Loss and accuracy by epoch, of one job or of two: SVG, read by pointer or by arrow keys.

import { el } from "../dom.js";
import { figure, percent } from "../format.js";
import { chart } from "./chart.js";

const LOSS = [
  ["training", (epoch) => epoch.train_loss - epoch.train_penalty],
  ["validation", (epoch) => epoch.validation_loss],
];
const ACCURACY = [
  ["training", (epoch) => epoch.train_accuracy],
  ["validation", (epoch) => epoch.validation_accuracy],
];

export function charts(id, otherId) {
  const loss = chart("Loss, without the penalty", figure, 0);
  const accuracy = chart("Accuracy", (value) => percent(value, 1), null);
  const legend = el(
    "div", { class: "legend" },
    el("span", { class: "training" }, "training"),
    el("span", { class: "validation" }, "validation"),
    otherId && el("em", {}, `dashed: job ${otherId}`),
  );
  const node = el("div", { hidden: true }, legend, el("div", { class: "charts" }, loss.node, accuracy.node));
  return {
    node,
    show(epochs, others) {
      node.hidden = !epochs.length && !others.length;
      loss.show(lines(LOSS, epochs, others, id, otherId));
      accuracy.show(lines(ACCURACY, epochs, others, id, otherId));
    },
  };
}

function lines(kinds, epochs, others, id, otherId) {
  const of = (records, job, extra) =>
    kinds.map(([name, value]) => ({
      name: otherId ? `${name} of job ${job}` : name,
      style: `${name} ${extra}`,
      points: records.map((record) => [record.epoch, value(record)]),
    }));
  return [...of(others, otherId, "other"), ...of(epochs, id, "")].filter(({ points }) => points.length);
}

