"use strict";
// Fragments of the page come over one stream and are worked into what is there, so
// that focus and selection stay.
const live = document.querySelector("[data-live]");
if (live) {
  const lost = document.getElementById("lost");
  const source = new EventSource(live.dataset.live);
  source.onopen = () => { lost.hidden = true; };
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) location.reload(); // no longer signed in
    else lost.hidden = false;
  };
  source.addEventListener("anew", () => location.reload());
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

// Lines of logs are added below as they come; the view stays at the end where it was
// there, and the oldest go.
const log = document.querySelector("[data-log]");
if (log) {
  const source = new EventSource(log.dataset.log), most = 5000;
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) location.reload(); };
  source.onopen = () => { log.replaceChildren(); };
  source.onmessage = (event) => {
    const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
    log.insertAdjacentHTML("beforeend", event.data);
    while (log.childElementCount > most) log.firstElementChild.remove();
    if (atEnd) log.scrollTop = log.scrollHeight;
  };
  source.addEventListener("anew", () => location.reload());
  source.addEventListener("end", () => {
    source.close();
    const state = document.getElementById("log-state");
    state.textContent = state.dataset.ended;
  });
  addEventListener("pagehide", () => source.close());
}
