// Predict: one picture gets an answer and its reasons, several get a table.

import { fill } from "../dom.js";
import { failure } from "../failure.js";
import { showAnswer, showWaiting } from "./answer.js";
import { explain } from "./ask.js";
import { startDrawing } from "./draw.js";
import { firstExample, startExamples } from "./examples.js";
import { startGallery } from "./gallery.js";
import { startIntake } from "./intake.js";
import { showIncoming, showPrepared } from "./seen.js";
import { showTable } from "./table.js";
import { showWhy } from "./why.js";

let running = new AbortController();
let tabling = new AbortController();

export function start() {
  document.documentElement.classList.toggle("touches", navigator.maxTouchPoints > 0);
  startIntake(take);
  startDrawing((file) => take([file]));
  startExamples(alone);
  startGallery(alone);
  performance.mark("usable");
  firstExample(alone).then(() => performance.mark("answered"));
}

function take(files) {
  clearChoices();
  return files.length === 1 ? alone(files[0], files[0].name) : many(files);
}

/** Classify one picture, in the place of whatever was there. */
function alone(...picture) {
  tabling.abort();
  fill(document.getElementById("table"));
  return one(...picture);
}

/** Classify one picture; `truth` is its label where that is known. */
async function one(file, title, truth = null) {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const [seen, answer, why] = ["seen", "answer", "why"].map((id) => document.getElementById(id));
  showIncoming(seen, file, title);
  showWaiting(answer);
  try {
    const explanation = await explain(file, signal);
    await showPrepared(seen, file, explanation.prediction);
    if (signal.aborted) return;
    showAnswer(answer, explanation.prediction, truth);
    showWhy(why, explanation, seen.querySelector("canvas"));
    if (navigator.userActivation?.hasBeenActive) answer.querySelector("h2").scrollIntoView({ block: "nearest" });
  } catch (error) {
    if (error.name === "AbortError") return;
    fill(why);
    answer.setAttribute("aria-busy", "false");
    fill(answer, failure(error, () => one(file, title, truth)));
  }
}

function many(files) {
  tabling.abort();
  tabling = new AbortController();
  return showTable(document.getElementById("table"), files, one, tabling.signal);
}

function clearChoices() {
  for (const pressed of document.querySelectorAll('.thumbs [aria-pressed="true"]')) pressed.setAttribute("aria-pressed", "false");
}
