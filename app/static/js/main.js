// Shows the part that the address names, and loads its code when it is first shown.

const PARTS = {
  predict: () => import("./predict/index.js"),
  inside: () => import("./inside/index.js"),
  train: () => import("./train/index.js"),
  models: () => import("./models/index.js"),
};
const STYLED = ["inside", "train", "models"];
const started = new Map();

function wanted() {
  const [name] = location.hash.slice(1).split("/");
  return Object.hasOwn(PARTS, name) ? name : "predict";
}

async function show(name) {
  for (const part of Object.keys(PARTS)) document.getElementById(part).hidden = part !== name;
  for (const link of document.querySelectorAll(".top nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const section = document.getElementById(name);
  document.title = name === "predict" ? "Rookie" : `${section.querySelector("h1").textContent} · Rookie`;
  if (!started.has(name)) started.set(name, start(name, section));
  const part = await started.get(name);
  part?.shown?.();
}

async function start(name, section) {
  section.querySelector(":scope > .failure")?.remove(); // of the time before
  if (STYLED.includes(name)) addStyle(`static/css/${name}.css`);
  try {
    const part = await PARTS[name]();
    part.start(section);
    return part;
  } catch (error) {
    started.delete(name);
    const { failure } = await import("./failure.js");
    section.append(failure(new Error(`This part could not be loaded (${error.message}).`), () => location.reload()));
    return null;
  }
}

function addStyle(href) {
  document.querySelector(`link[href="${href}"]`)?.remove(); // it may have failed with its part
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = href;
  document.head.append(link);
}

addEventListener("hashchange", () => {
  if (location.hash === "#main") return;
  const name = wanted();
  show(name);
  document.querySelector(`#${name} h1`).focus();
});
show(wanted());
