// One chart: lines over epochs, with a guide that says the values where the pointer is.

import { el, fill, svg } from "../dom.js";

const [WIDTH, HEIGHT] = [460, 240];
const [LEFT, RIGHT, TOP, BOTTOM] = [76, 10, 10, 28];

/** A chart with that title; `lowest` is where its scale starts, or null for the smallest value. */
export function chart(title, shown, lowest) {
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, tabindex: "0", role: "img", "aria-label": `${title} by epoch. Arrow keys read the values.` });
  const reading = el("p", { class: "reading", "aria-live": "polite" });
  const node = el("figure", { class: "chart" }, el("figcaption", {}, title), picture, reading);
  let lines = [];
  let scale = null;
  let at = null;

  const read = (epoch) => {
    if (!scale) return;
    at = Math.min(scale.last, Math.max(1, epoch));
    picture.querySelector(".guide")?.remove();
    picture.append(svg("line", { class: "guide", x1: scale.x(at), x2: scale.x(at), y1: TOP, y2: HEIGHT - BOTTOM }));
    const values = lines.flatMap(({ name, points }) => points.filter(([x]) => x === at).map(([, y]) => `${name} ${shown(y)}`));
    reading.textContent = `Epoch ${at}: ${values.join(", ") || "no figures"}`;
  };
  picture.addEventListener("pointermove", (event) => {
    const x = (event.offsetX * WIDTH) / picture.clientWidth;
    if (scale) read(Math.round(scale.epochAt(x)));
  });
  picture.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    read((at ?? scale?.last ?? 1) + step);
  });

  return {
    node,
    show(next) {
      lines = next;
      scale = lines.length ? scaled(lines, lowest) : null;
      fill(picture, scale && [...axes(scale, shown), ...lines.map((line) => drawn(line, scale))]);
      if (at) read(at);
    },
  };
}

function scaled(lines, lowest) {
  const points = lines.flatMap((line) => line.points);
  const last = Math.max(2, ...points.map(([x]) => x));
  const values = points.map(([, y]) => y);
  const [low, high] = [lowest ?? Math.min(...values), Math.max(...values)];
  const room = (high - low) * 0.06 || 0.05;
  const [bottom, top] = [lowest ?? Math.max(0, low - room), high + room];
  const [across, up] = [WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM];
  return {
    last, bottom, top,
    x: (epoch) => LEFT + ((epoch - 1) / (last - 1)) * across,
    y: (value) => TOP + (1 - (value - bottom) / (top - bottom)) * up,
    epochAt: (x) => 1 + ((x - LEFT) / across) * (last - 1),
  };
}

function axes({ bottom, top, last, x, y }, shown) {
  const levels = steps(bottom, top, 4);
  const marks = [...new Set(steps(1, last, 5).map(Math.round))].filter((epoch) => epoch >= 1 && epoch <= last);
  return [
    ...levels.map((value) => svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) })),
    ...levels.map((value) => svg("text", { x: LEFT - 6, y: y(value) + 5, "text-anchor": "end" }, shown(value))),
    ...marks.map((epoch) => svg("text", { x: x(epoch), y: HEIGHT - 8, "text-anchor": "middle" }, String(epoch))),
  ];
}

/** Round numbers between two ends, about `count` of them. */
function steps(low, high, count) {
  const raw = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= raw) * power;
  const first = Math.ceil(low / step) * step;
  return Array.from({ length: Math.floor((high - first) / step) + 1 }, (_, k) => first + k * step);
}

function drawn({ style, points }, { x, y }) {
  const path = points.map(([epoch, value]) => `${x(epoch).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
  if (points.length > 1) return svg("polyline", { class: `line ${style}`, points: path });
  const [[epoch, value]] = points;
  return svg("circle", { class: `line ${style}`, cx: x(epoch), cy: y(value), r: 2.5 });
}
