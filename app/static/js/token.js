// The token that changes need where the service has one: asked for once, kept for this tab only.

import { el } from "./dom.js";

const KEY = "rookie-token";
const SIGNS = "[!-~]+"; // what a token has; a header cannot carry what is beyond Latin-1
const SENDABLE = new RegExp(`^${SIGNS}$`);
let asking = null;
let held = null; // the token, where the browser keeps nothing for pages

/** The token that was given in this tab; null where there is none that can be sent. */
export function token() {
  const found = kept();
  return SENDABLE.test(found ?? "") ? found : null;
}

function kept() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return held;
  }
}

function keep(given) {
  try {
    sessionStorage.setItem(KEY, given);
  } catch {
    held = given;
  }
}

/** Ask for the token in a dialog; whether one was given. Requests that fail meanwhile share the dialog. */
export function askForToken(why) {
  asking ??= ask(why).finally(() => (asking = null));
  return asking;
}

function ask(why) {
  const input = el("input", {
    id: "token",
    type: "password",
    autocomplete: "off",
    required: true,
    pattern: `\\s*${SIGNS}\\s*`,
    title: "A token has letters, digits and signs of ASCII, and no spaces.",
  });
  const dialog = el(
    "dialog", { "aria-labelledby": "token-title" },
    el(
      "form", { method: "dialog" },
      el("h2", { id: "token-title" }, "This service asks for a token"),
      el("p", {}, why),
      el("label", { for: "token" }, "Token"),
      input,
      el(
        "div", { class: "buttons" },
        el("button", { class: "main", value: "given" }, "Go on"),
        el("button", { value: "", formnovalidate: true }, "Cancel"),
      ),
      el("p", { class: "quiet" }, "It is kept until this tab is closed."),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      if (dialog.returnValue) keep(input.value.trim());
      dialog.remove();
      resolve(Boolean(dialog.returnValue));
    });
  });
}
