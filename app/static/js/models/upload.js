// A weights file from elsewhere: checked and scored by the service before it may serve.

import { getJson } from "../api.js";
import { el, fill } from "../dom.js";
import { busy } from "../failure.js";
import { percent } from "../format.js";

export function uploadForm(added) {
  const input = el("input", { id: "upload", type: "file", accept: ".npz", required: true });
  const told = el("div", { role: "status" });
  const button = el("button", {}, "Upload");
  const form = el(
    "form", { class: "panel" },
    el("label", { for: "upload" }, "Add a weights file (.npz). It is scored here, and serves if it is at least as good."),
    el("div", { class: "buttons" }, input, button),
    told,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    busy(button, told, async () => {
      fill(told, el("p", {}, "Checking and scoring it …"));
      const { model, promotion } = await getJson("models", { method: "POST", headers: { "Content-Type": "application/octet-stream" }, body: input.files[0] });
      fill(told, el("p", { class: "good" }, `It is version ${model.version}, at ${percent(model.validation_accuracy, 2)} on validation images. `, promotion.reason));
      await added();
    });
  });
  return form;
}
