// A board to draw on, by pointer or by keyboard; each stroke is asked about.

import { el, fill } from "../dom.js";

const SIDE = 280;
const STEP = 10;

export function startDrawing(drawn) {
  const place = document.getElementById("draw");
  const opener = document.getElementById("draw-open");
  opener.addEventListener("click", () => {
    place.hidden = !place.hidden;
    opener.setAttribute("aria-expanded", String(!place.hidden));
    if (!place.firstChild) fill(place, board(drawn));
    if (!place.hidden) place.querySelector("canvas").focus();
  });
}

function board(drawn) {
  const canvas = el("canvas", { width: SIDE, height: SIDE, tabindex: "0", role: "application", "aria-label": "Drawing board", "aria-describedby": "draw-help" });
  const width = el("input", { type: "range", min: 6, max: 60, value: 26, "aria-label": "Width of the pen" });
  const pen = canvas.getContext("2d");
  const send = () => drawn(() => pictureOn(canvas));
  const clear = () => {
    pen.fillStyle = "#000";
    pen.fillRect(0, 0, SIDE, SIDE);
  };
  const line = (from, to) => {
    Object.assign(pen, { strokeStyle: "#d0d0d0", lineWidth: Number(width.value), lineCap: "round", lineJoin: "round" });
    pen.beginPath();
    pen.moveTo(...from);
    pen.lineTo(...to);
    pen.stroke();
  };
  clear();
  byPointer(canvas, line, send);
  const cursor = byKeyboard(canvas, line, send);
  return el(
    "div", { class: "panel draw" },
    canvas,
    el("p", { id: "draw-help", class: "quiet" }, "Fill the shape of a garment. By keyboard: arrows move, space puts the pen down or lifts it. ", cursor),
    el("div", { class: "buttons" }, el("label", {}, "Pen ", width), el("button", { type: "button", on: { click: clear } }, "Clear")),
  );
}

function pictureOn(canvas) {
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(new File([blob], "drawing.png", { type: "image/png" }))));
}

function byPointer(canvas, line, send) {
  let last = null;
  const place = (event) => [(event.offsetX * SIDE) / canvas.clientWidth, (event.offsetY * SIDE) / canvas.clientHeight];
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    line(last, last);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (last) line(last, (last = place(event)));
  });
  canvas.addEventListener("pointerup", () => {
    last = null;
    send();
  });
  canvas.addEventListener("pointercancel", () => (last = null));
}

function byKeyboard(canvas, line, send) {
  const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
  const told = el("span", { role: "status" });
  let at = [SIDE / 2, SIDE / 2];
  let down = false;
  const tell = () => (told.textContent = `Pen ${down ? "down" : "up"} at ${at[0] / STEP}, ${at[1] / STEP}.`);
  canvas.addEventListener("keydown", (event) => {
    if (event.key === " ") {
      down = !down;
      if (down) line(at, at);
      else send();
    } else if (Object.hasOwn(moves, event.key)) {
      const next = at.map((value, k) => Math.min(SIDE, Math.max(0, value + moves[event.key][k])));
      if (down) line(at, next);
      at = next;
    } else return;
    event.preventDefault();
    tell();
  });
  return told;
}
