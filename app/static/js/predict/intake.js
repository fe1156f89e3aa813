// Pictures come in by dropping, choosing, pasting or photographing.

export function startIntake(take) {
  for (const id of ["choose", "photograph"]) {
    const input = document.getElementById(id);
    input.addEventListener("change", () => {
      if (input.files.length) take([...input.files]);
      input.value = "";
    });
  }
  startDropping(document.getElementById("drop"), take);
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length && !document.getElementById("predict").hidden) take(files);
  });
}

function startDropping(area, take) {
  const mark = (over) => (event) => {
    event.preventDefault();
    area.classList.toggle("over", over);
  };
  area.addEventListener("dragover", mark(true));
  area.addEventListener("dragleave", mark(false));
  area.addEventListener("drop", (event) => {
    mark(false)(event);
    const files = [...event.dataTransfer.files];
    if (files.length) take(files);
  });
  // A picture that misses the area must not replace the page.
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => event.preventDefault());
}
