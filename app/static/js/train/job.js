// One job as it happens: how far it is, its curves, its figures as a table, and a way to cancel it.

import { getJson, send } from "../api.js";
import { el, fill, scrolling, table } from "../dom.js";
import { busy } from "../failure.js";
import { duration, figure, percent } from "../format.js";
import { newest } from "../newest.js";
import { charts } from "./charts.js";
import { follow } from "./events.js";

const nextJob = newest();

/** Show a job, and beside its curves those of another; `changed` is told when its status does. */
export async function watch(place, id, otherId, changed) {
  const signal = nextJob();
  const [job, other] = await Promise.all([getJson(`train/${id}`, { signal }), otherId ? getJson(`train/${otherId}/history`, { signal }) : null]);
  const view = panel(id, otherId);
  fill(place, view.node);
  const epochs = new Map();
  const show = () => view.show(job, [...epochs.values()], other?.epochs ?? []);
  show();
  const redraw = throttled(show);
  await follow(id, {
    told(kind, data) {
      if (kind === "epoch") heed(job, epochs, data);
      else Object.assign(job, data);
      redraw();
      if (kind !== "epoch") changed();
    },
    lost: () => view.say("The connection is lost. It comes back by itself."),
    found: () => view.say(""),
  }, signal);
  Object.assign(job, await getJson(`train/${id}`, { signal }));
  show();
}

/** Take an epoch in; a job that was taken up again repeats epochs, which replace those that were there. */
function heed(job, epochs, record) {
  for (const number of epochs.keys()) if (number > record.epoch) epochs.delete(number);
  epochs.set(record.epoch, record);
  Object.assign(job, { epoch: record.epoch, metrics: record, progress: (0.99 * record.epoch) / job.epochs, eta_seconds: (job.epochs - record.epoch) * record.seconds });
}

function throttled(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}

function panel(id, otherId) {
  const [status, said, figures, told, graphs, numbers] = Array.from({ length: 6 }, () => el("div"));
  status.setAttribute("role", "status");
  const progress = el("progress", { max: 1, "aria-label": "Progress" });
  const cancel = el("button", { type: "button", class: "danger", on: { click: () => busy(cancel, told, () => send(`train/${id}`, { method: "DELETE" })) } }, "Cancel this job");
  const drawn = charts(id, otherId);
  const all = el("details", {}, el("summary", {}, "The same numbers as a table"), numbers);
  graphs.append(drawn.node);
  const node = el("div", { class: "panel job" }, el("h2", {}, `Job ${id}`), status, progress, said, figures, told, cancel, graphs, all);

  return {
    node,
    say: (text) => fill(said, text && el("p", { class: "notice" }, text)),
    show(job, epochs, others) {
      const running = ["queued", "running"].includes(job.status);
      const line = statusLine(job);
      if (status.textContent !== line) status.textContent = line;
      progress.value = job.status === "succeeded" ? 1 : job.progress;
      progress.hidden = cancel.hidden = !running;
      fill(figures, facts(job, running), outcome(job));
      drawn.show(epochs, others);
      fill(numbers, rows(epochs));
      all.hidden = !epochs.length;
    },
  };
}

function statusLine({ status, stage, epoch, epochs }) {
  if (status === "running") return stage === "training" ? `Training: epoch ${epoch} of ${epochs}` : `${stage ?? "starting"} …`;
  return { queued: "Waiting for its turn", succeeded: "Done", failed: "Failed", cancelled: "Cancelled" }[status];
}

function facts({ metrics, eta_seconds: left }, running) {
  const pair = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
  return el(
    "dl", { class: "figures" },
    running && left !== null && left !== undefined && pair("Time left", `about ${duration(left)}`),
    metrics?.validation_accuracy !== undefined && pair("Validation, last epoch", percent(metrics.validation_accuracy, 2)),
    metrics?.train_accuracy !== undefined && pair("Training, last epoch", percent(metrics.train_accuracy, 2)),
    metrics?.test_accuracy !== undefined && pair("Test, the version", percent(metrics.test_accuracy, 2)),
  );
}

function outcome({ version, promotion, error }) {
  return el(
    "div", {},
    error && el("div", { class: "failure" }, el("p", {}, error.detail)),
    version && el("p", {}, "It made ", el("a", { href: `#models/${version}` }, `version ${version}`), promotion && `: ${promotion.reason}.`),
  );
}

function rows(epochs) {
  const cells = (each) => [each.epoch, figure(each.train_loss - each.train_penalty), figure(each.validation_loss), percent(each.train_accuracy, 2), percent(each.validation_accuracy, 2)].map(String);
  return scrolling("Figures of each epoch", table("", ["#Epoch", "#Training loss", "#Validation loss", "#Training accuracy", "#Validation accuracy"], epochs.map(cells)));
}
