"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const cards = [...document.querySelectorAll(".card")];
  const blocks = [...document.querySelectorAll(".block")];
  const links = new Map([...document.querySelectorAll("#nav [data-for]")].map((a) => [a.dataset.for, a]));
  const texts = new Map(); // what is searched, by card, read when it is first needed
  const only = new Set(); // actions that are shown; empty means all
  let here = null;

  const shown = () => cards.filter((c) => !c.hidden && !c.parentElement.hidden);

  // go makes a card the current one.
  function go(card, scroll = true) {
    if (!card) return;
    if (here) here.classList.remove("here");
    here = card;
    card.classList.add("here");
    card.querySelector("summary").focus({ preventScroll: true });
    if (scroll) card.scrollIntoView({ block: card.offsetHeight > innerHeight * 0.7 ? "start" : "nearest" });
    mark(card.closest(".block"));
  }

  function mark(block) {
    for (const a of links.values()) a.classList.remove("here");
    const a = block && links.get(block.id);
    if (!a) return;
    a.classList.add("here");
    a.scrollIntoView({ block: "nearest" });
  }

  function step(by) {
    const list = shown();
    const at = list.indexOf(here);
    if (at < 0) return go(list[by > 0 ? 0 : list.length - 1]);
    go(list[Math.min(Math.max(at + by, 0), list.length - 1)]);
  }

  function stepBlock(by) {
    const list = blocks.filter((b) => !b.hidden);
    const at = here ? list.indexOf(here.closest(".block")) : -1;
    const next = list[Math.min(Math.max(at + by, 0), list.length - 1)];
    if (next) go([...next.querySelectorAll(".card")].find((c) => !c.hidden));
  }

  // filter hides what does not match the words and the chosen actions.
  function filter() {
    const words = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const card of cards) {
      if (words.length && !texts.has(card)) {
        const block = card.closest(".block");
        const unit = block.querySelector("h2");
        texts.set(card, ((unit ? unit.textContent : "") + " " + card.textContent).toLowerCase());
      }
      card.hidden = only.size > 0 && !only.has(card.dataset.action) || !words.every((w) => texts.get(card).includes(w));
    }
    let count = 0;
    for (const block of blocks) {
      const left = [...block.querySelectorAll(".card")].filter((c) => !c.hidden).length;
      block.hidden = left === 0;
      count += left;
      const a = links.get(block.id);
      if (a) a.hidden = block.hidden;
    }
    const filtered = words.length > 0 || only.size > 0;
    $("found").value = filtered ? count + " of " + cards.length : "";
    $("none").hidden = !filtered || count > 0;
    if (here && (here.hidden || here.closest(".block").hidden)) {
      here.classList.remove("here");
      here = null;
    }
    highlight(words);
  }

  // highlight paints the words where they stand in open cards.
  function highlight(words) {
    if (!window.Highlight || !CSS.highlights) return;
    CSS.highlights.delete("found");
    if (!words.length) return;
    const ranges = [];
    for (const card of shown()) {
      const walk = document.createTreeWalker(card.open ? card : card.querySelector("summary"), NodeFilter.SHOW_TEXT);
      for (let n = walk.nextNode(); n && ranges.length < 2000; n = walk.nextNode()) {
        const text = n.data.toLowerCase();
        for (const w of words) {
          for (let i = text.indexOf(w); i >= 0; i = text.indexOf(w, i + w.length)) {
            const r = new Range();
            r.setStart(n, i);
            r.setEnd(n, i + w.length);
            ranges.push(r);
          }
        }
      }
    }
    CSS.highlights.set("found", new Highlight(...ranges));
  }

  function clear() {
    $("find").value = "";
    only.clear();
    for (const chip of document.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", "false");
    filter();
  }

  function foldAll() {
    const list = shown();
    const open = list.some((c) => !c.open);
    for (const c of list) c.open = open;
    $("fold").textContent = open ? "fold all" : "unfold all";
    if (here) go(here);
  }

  // sides builds the two columns of a body from its lines, when it is first seen.
  function sides(card) {
    for (const hunk of card.querySelectorAll(".body .hunk")) {
      if (hunk.querySelector(".sides")) continue;
      const grid = document.createElement("div");
      grid.className = "sides";
      const cell = (line, number) => {
        const div = document.createElement("div");
        if (!line) {
          div.className = "l none";
          return div;
        }
        div.className = line.className;
        div.append(line.children[number].cloneNode(true), line.lastChild.cloneNode(true));
        return div;
      };
      let gone = [], come = [];
      const flush = () => {
        for (let i = 0; i < Math.max(gone.length, come.length); i++) grid.append(cell(gone[i], 0), cell(come[i], 1));
        gone = [];
        come = [];
      };
      for (const line of hunk.querySelectorAll(":scope > .l")) {
        if (line.classList.contains("del")) {
          if (come.length) flush();
          gone.push(line);
        } else if (line.classList.contains("add")) {
          come.push(line);
        } else {
          flush();
          grid.append(cell(line, 0), cell(line, 1));
        }
      }
      flush();
      hunk.append(grid);
    }
  }

  function split(on) {
    document.body.classList.toggle("split", on);
    $("split").setAttribute("aria-pressed", String(on));
    if (on) cards.filter((c) => c.open).forEach(sides);
    keep("split", on ? "1" : "");
  }

  function theme(name) {
    document.documentElement.dataset.theme = name;
    keep("theme", name);
  }

  function otherTheme() {
    const dark = document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    theme(dark === "dark" ? "light" : "dark");
  }

  // A page from a file may not be allowed to remember.
  function keep(name, value) {
    try { localStorage.setItem("evenkeel-" + name, value); } catch { return; }
  }
  function kept(name) {
    try { return localStorage.getItem("evenkeel-" + name); } catch { return null; }
  }

  function target() {
    const el = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!el) return;
    const card = el.matches(".card") ? el : el.matches(".block") ? el.querySelector(".card") : null;
    if (!card) return mark(null);
    if (el === card) card.open = true;
    go(card, false);
    el.scrollIntoView({ block: "start" });
  }

  let timer = 0;
  $("find").addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(filter, 60);
  });
  $("clear").addEventListener("click", clear);
  $("fold").addEventListener("click", foldAll);
  $("theme").addEventListener("click", otherTheme);
  $("split").addEventListener("click", () => split(!document.body.classList.contains("split")));
  $("help").addEventListener("click", () => $("keys").showModal());
  for (const chip of document.querySelectorAll(".chip")) {
    chip.addEventListener("click", () => {
      const action = chip.dataset.action;
      if (!only.delete(action)) only.add(action);
      for (const same of document.querySelectorAll(".chip")) same.setAttribute("aria-pressed", String(only.has(same.dataset.action)));
      filter();
    });
  }
  for (const card of cards) {
    card.addEventListener("toggle", () => {
      if (card.open && document.body.classList.contains("split")) sides(card);
      if ($("find").value) filter();
    });
    card.firstElementChild.addEventListener("click", () => go(card, false));
  }

  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || $("keys").open) return;
    if (e.target === $("find")) {
      if (e.key === "Escape") { clear(); $("find").blur(); }
      if (e.key === "Enter") {
        e.preventDefault(); // or it would press what gets the focus
        clearTimeout(timer);
        filter();
        const first = shown()[0];
        if (!first) return;
        first.open = true;
        go(first);
      }
      return;
    }
    const actions = {
      j: () => step(1), k: () => step(-1), n: () => stepBlock(1), p: () => stepBlock(-1),
      e: () => { if (here) here.open = !here.open; }, E: foldAll,
      "/": () => { $("find").focus(); $("find").select(); },
      s: () => $("split").click(), t: otherTheme, "?": () => $("keys").showModal(), Escape: clear,
    };
    if (!actions[e.key]) return;
    e.preventDefault();
    actions[e.key]();
  });

  if (kept("theme")) theme(kept("theme"));
  if (kept("split")) split(true);
  if (cards.length && cards.every((c) => c.open)) $("fold").textContent = "fold all";
  addEventListener("hashchange", target);
  target();
})();
