// Work of which only the newest counts: what began earlier is called off, so that its answer cannot come late and win.

/** A function that gives a signal to each piece of work, and aborts the signal that it gave before. */
export function newest() {
  let running = new AbortController();
  return () => {
    running.abort();
    running = new AbortController();
    return running.signal;
  };
}
