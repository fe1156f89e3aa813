// The form is made from what GET /recipes says: names, help, bounds and choices stand in the library's Recipe alone.

import { sendJson } from "../api.js";
import { el, fill } from "../dom.js";
import { busy } from "../failure.js";

const PROMOTIONS = { "if-better": "serve it if it is as good", always: "serve it", never: "keep it aside" };

export function recipeForm({ default: preset, presets, fields }, started) {
  const told = el("div", { role: "status" });
  const button = el("button", { class: "main" }, "Start training");
  const list = el("div", { class: "fields" });
  const choose = select("recipe", Object.fromEntries(Object.keys(presets).map((name) => [name, `${name}, ${presets[name].epochs} epochs`])), preset);
  const promote = select("promote", PROMOTIONS, "if-better");
  const show = () => fill(list, fields.map((field) => control(field, presets[choose.value][field.name])));
  const form = el(
    "form", { class: "panel recipe" },
    el("label", {}, "Recipe", choose),
    el("label", {}, "When it is done", promote),
    el("details", {}, el("summary", {}, "Change its parameters"), list),
    button,
    told,
  );
  choose.addEventListener("change", show);
  form.addEventListener("invalid", () => (form.querySelector("details").open = true), true);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(button, told, async () => {
      const request = { recipe: choose.value, promote: promote.value, ...changes(form, fields, presets[choose.value]) };
      const { id } = await sendJson("POST", "train", request);
      fill(told, el("p", { class: "good" }, `Job ${id} is queued.`));
      await started(id);
    });
  });
  show();
  return form;
}

function select(name, options, chosen) {
  return el("select", { name }, Object.entries(options).map(([value, text]) => el("option", { value, selected: value === chosen }, text)));
}

function control(field, value) {
  const help = `help-${field.name}`;
  return el("div", {}, ...inputs(field, value, help), el("p", { class: "help", id: help }, field.help + bounds(field)));
}

function inputs({ name, kind, low, high, choices }, value, help) {
  const title = name.replaceAll("_", " ");
  const number = (label, part, id) =>
    el("input", { type: "number", id, name: id, min: low, max: high, step: kind === "float" ? "any" : 1, value: part, required: name !== "seed", "aria-label": label, "aria-describedby": help });
  if (kind === "sizes") {
    return [el("label", { for: `${name}-0` }, title), el("div", { class: "sizes" }, value.map((part, k) => number(`${title}, layer ${k + 1}`, part, `${name}-${k}`)))];
  }
  const input = kind === "choice" ? select(name, Object.fromEntries(choices.map((each) => [each, each])), value) : number(null, value, name);
  input.id = name;
  input.setAttribute("aria-describedby", help);
  return [el("label", { for: name }, title), input];
}

const bounds = ({ kind, low, high }) => (kind === "choice" ? "" : `; ${low} to ${high}`);

/** The fields whose value is another than the preset's. */
function changes(form, fields, preset) {
  const values = fields.map(({ name, kind }) => [name, read(form, name, kind)]);
  return Object.fromEntries(values.filter(([name, value]) => value !== null && JSON.stringify(value) !== JSON.stringify(preset[name])));
}

function read(form, name, kind) {
  if (kind === "sizes") return [0, 1].map((k) => Number(form.elements[`${name}-${k}`].value));
  const { value } = form.elements[name];
  if (kind === "choice") return value;
  return value === "" ? null : Number(value);
}
