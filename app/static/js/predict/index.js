// Predict: one picture gets an answer and its reasons, several get a table.

import { fill } from "../dom.js";
import { failure } from "../failure.js";
import { newest } from "../newest.js";
import { showAnswer, showWaiting } from "./answer.js";
import { explain } from "./ask.js";
import { startDrawing } from "./draw.js";
import { firstExample, startExamples } from "./examples.js";
import { startGallery } from "./gallery.js";
import { startIntake } from "./intake.js";
import { whatItSaw, showIncoming, showPrepared } from "./seen.js";
import { showTable } from "./table.js";
import { showWhy } from "./why.js";

const nextPicture = newest();
const nextTable = newest();

export function start() {
  document.documentElement.classList.toggle("touches", navigator.maxTouchPoints > 0);
  startIntake(take);
  startDrawing((board) => {
    clearChoices();
    return alone(board, "drawing");
  });
  startExamples(alone);
  startGallery(alone);
  performance.mark("usable");
  firstExample(one).then(() => performance.mark("answered"));
}

function take(files) {
  clearChoices();
  return files.length === 1 ? alone(() => files[0], files[0].name) : many(files);
}

/** Classify one picture, in the place of whatever was there. */
function alone(...picture) {
  nextTable();
  fill(document.getElementById("table"));
  return asked(...picture);
}

/** Classify a picture that somebody asked for: the answer comes into view. */
async function asked(...picture) {
  const answer = document.getElementById("answer");
  if (await one(...picture)) (answer.querySelector(".notice") ?? answer.querySelector("h2")).scrollIntoView({ block: "nearest" });
}

/** Classify the picture that `read` gives, unless another one is asked for meanwhile: whether it was. `truth` is its label where that is known. */
async function one(read, title, truth = null) {
  const signal = nextPicture();
  const [seen, answer, why] = ["seen", "answer", "why"].map((id) => document.getElementById(id));
  showWaiting(answer);
  try {
    const file = await read(signal);
    signal.throwIfAborted();
    showIncoming(seen, file, title);
    const explanation = await explain(file, signal);
    const saw = await whatItSaw(file, explanation.prediction);
    signal.throwIfAborted();
    showPrepared(seen, saw, explanation.prediction);
    showAnswer(answer, explanation.prediction, truth);
    showWhy(why, explanation, seen.querySelector("canvas"));
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    fill(why);
    answer.setAttribute("aria-busy", "false");
    fill(answer, failure(error, () => asked(read, title, truth)));
    return false;
  }
}

function many(files) {
  return showTable(document.getElementById("table"), files, asked, nextTable());
}

function clearChoices() {
  for (const pressed of document.querySelectorAll('.thumbs [aria-pressed="true"]')) pressed.setAttribute("aria-pressed", "false");
}
