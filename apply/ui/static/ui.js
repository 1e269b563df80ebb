"use strict";
// Fragments of the page come over one stream and are worked into what is there, so
// that focus and selection stay.
const live = document.querySelector("[data-live]");
if (live) {
  const lost = document.getElementById("lost");
  const source = new EventSource(live.dataset.live);
  source.onopen = () => { lost.hidden = true; };
  source.onerror = () => { lost.hidden = false; };
  source.onmessage = (event) => {
    const parsed = document.createElement("template");
    parsed.innerHTML = event.data;
    for (const next of parsed.content.children) {
      const now = document.getElementById(next.id);
      if (now) Idiomorph.morph(now, next.cloneNode(true), { morphStyle: "outerHTML" });
    }
    live.dataset.changes = Number(live.dataset.changes ?? 0) + 1;
  };
  addEventListener("pagehide", () => source.close());
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button.copy");
  if (!button) return;
  const code = button.previousElementSibling;
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = button.dataset.done;
  } catch {
    getSelection().selectAllChildren(code);
  }
});
