// Train: start a job, watch it, look at earlier ones.

import { getJson } from "../api.js";
import { el, fill, scrolling, table } from "../dom.js";
import { attempt } from "../failure.js";
import { moment, percent } from "../format.js";
import { newest } from "../newest.js";
import { recipeForm } from "./form.js";
import { watch } from "./job.js";

const state = { job: null, other: null };
const nextList = newest();
let form, job, history;

export function start(section) {
  form = el("div");
  job = el("div");
  history = el("div", { class: "jobs" });
  section.append(
    el("p", { class: "lead" }, "A job trains beside the service, which goes on answering. A network that is at least as good takes over."),
    el("div", { class: "train" }, form, job),
    el("h2", {}, "Jobs"),
    history,
  );
  attempt(form, async () => fill(form, recipeForm(await getJson("recipes"), look)));
}

export const shown = () => refresh(true);

/** Draw the list of jobs; at first, look at the newest. */
function refresh(first = false) {
  return attempt(history, async () => {
    const { jobs } = await getJson("train", { signal: nextList() });
    if (first && state.job === null && jobs.length) return look(jobs[0].id);
    if (!jobs.length) {
      fill(history, el("p", { class: "quiet" }, "None yet."));
      fill(job, el("p", { class: "panel job quiet" }, "Start a job: its curves appear here as it learns."));
      return null;
    }
    return fill(history, scrolling("Training jobs", table("", ["#Job", "~Recipe", "Status", "~#Epochs", "#Validation", "~Made", "!What to do"], jobs.map(cells))));
  });
}

function cells({ id, recipe, status, epoch, epochs, metrics, created }) {
  const accuracy = metrics?.validation_accuracy;
  return [
    String(id), recipe.name, status, `${epoch} of ${epochs}`,
    accuracy === undefined ? "–" : percent(accuracy, 2),
    moment(created),
    el("div", { class: "buttons" }, choice("Look", id, state.job, () => look(id)), id !== state.job && choice("Compare", id, state.other, () => compare(id))),
  ];
}

const choice = (text, id, chosen, click) =>
  el("button", { type: "button", "aria-pressed": String(id === chosen), "aria-label": `${text}: job ${id}`, on: { click } }, text);

function look(id) {
  state.job = id;
  if (state.other === id) state.other = null;
  return open();
}

function compare(id) {
  state.other = state.other === id ? null : id;
  return open();
}

function open() {
  attempt(job, () => watch(job, state.job, state.other, () => refresh()));
  return refresh();
}
