// A job's event stream, read by fetch because EventSource cannot send the token. A lost connection comes back by itself.

import { Failure, send } from "../api.js";

const SILENCE_MS = 40_000; // the service sends a sign of life every 15 s
const WAITS_MS = [500, 1000, 2000, 4000, 8000];

/** Follow a job to its end: `told(kind, data)` for each event, `lost()` and `found()` as the connection goes and comes. */
export async function follow(job, { told, lost, found }, signal) {
  let last = "";
  let losses = 0;
  while (!signal.aborted) {
    try {
      const headers = last ? { "Last-Event-ID": last } : {};
      const { body } = await send(`train/${job}/events`, { headers, signal });
      found();
      for await (const { id, event, data } of messages(body, signal)) {
        losses = 0;
        last = id || last;
        told(event, JSON.parse(data));
        if (event === "done") return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Failure && error.status >= 400 && error.status < 500) throw error;
    }
    lost();
    await pause(WAITS_MS[Math.min(losses++, WAITS_MS.length - 1)], signal);
  }
}

/** The messages of a stream as they arrive; it ends where the connection does, or falls silent. */
async function* messages(body, signal) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    while (true) {
      const { done, value } = await soon(reader.read(), signal);
      if (done) return;
      const blocks = (text + value).split(/\r?\n\r?\n/);
      text = blocks.pop();
      for (const block of blocks) {
        const message = fields(block);
        if (message.data) yield message;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

function fields(block) {
  const found = { id: "", event: "message", data: "" };
  for (const line of block.split(/\r?\n/)) {
    const [, name, value] = /^(\w*): ?(.*)$/.exec(line) ?? [];
    if (name === "data") found.data += value;
    else if (Object.hasOwn(found, name)) found[name] = value;
  }
  return found;
}

function soon(reading, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Failure("The stream fell silent.")), SILENCE_MS);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    reading.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function pause(milliseconds, signal) {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", resolve, { once: true });
  });
}
