// Refreshing, keys and copying. Every page reads and works without this.
"use strict";

const editing = (node) => node.closest("input, textarea, select, [contenteditable], dialog[open]");

// Rows: j and k move, Enter opens. The place survives a refresh because it is kept by address.
const rows = () => [...document.querySelectorAll("[data-row]")];
const addressOf = (row) => row.querySelector("a")?.getAttribute("href") ?? row.id;
let chosen = null;

function choose(row) {
  for (const other of rows()) other.toggleAttribute("data-chosen", other === row);
  chosen = row ? addressOf(row) : null;
  row?.scrollIntoView({ block: "nearest" });
  row?.querySelector("a, input, summary")?.focus({ preventScroll: true });
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.hasAttribute("data-chosen"));
  choose(all[Math.min(all.length - 1, Math.max(0, at < 0 ? 0 : at + step))]);
}

// Refreshing: the same page is fetched again, and what it says replaces what it said.
const main = document.querySelector("main[data-refresh]");
let paused = false;
let timer = 0;

function untouched() {
  const active = document.activeElement;
  return !(active && main.contains(active) && editing(active)) && !String(getSelection() ?? "");
}

async function refresh() {
  if (!paused && !document.hidden && untouched()) {
    try {
      const answer = await fetch(location.href, { headers: { "X-Refresh": "1" } });
      if (answer.redirected && answer.url !== location.href) return location.reload();
      if (answer.ok) replace(await answer.text());
      live(answer.ok);
    } catch {
      live(false);
    }
  }
  timer = setTimeout(refresh, 1000 * Number(main.dataset.refresh));
}

function replace(text) {
  if (!untouched()) return;
  const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("main");
  if (!fresh) return;
  const open = [...main.querySelectorAll("details")].map((node) => node.open);
  main.replaceChildren(...fresh.childNodes);
  main.querySelectorAll("details").forEach((node, at) => (node.open = open[at] ?? node.open));
  const again = chosen && rows().find((row) => addressOf(row) === chosen);
  if (again) choose(again);
  prepare(main);
}

function live(well) {
  for (const node of document.querySelectorAll("[data-live]")) {
    node.hidden = false;
    node.classList.toggle("paused", paused || !well);
    node.lastChild.textContent = paused ? "paused" : well ? "live" : "no answer";
  }
}

function prepare(root) {
  for (const form of root.querySelectorAll("form[data-auto]")) {
    form.addEventListener("change", () => form.requestSubmit());
  }
  for (const node of root.querySelectorAll(".when-no-script")) node.hidden = true;
  // An empty field says nothing: leave it out of the address.
  for (const form of root.querySelectorAll("form:not([method=post])")) {
    form.addEventListener("submit", () => {
      for (const field of form.querySelectorAll("input, select")) {
        if (!field.value) field.disabled = true;
      }
    });
  }
}

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (copy) {
    await navigator.clipboard?.writeText(copy.dataset.copy);
    copy.textContent = "copied";
    setTimeout(() => (copy.textContent = "copy"), 1500);
  }
  if (event.target.closest("[data-help]")) document.getElementById("keys").showModal();
  if (event.target.closest("[data-back]")) history.back();
});

let going = false;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && editing(event.target)) return event.target.blur();
  if (editing(event.target)) return;
  if (going) {
    going = false;
    document.querySelector(`[data-go="${CSS.escape(event.key)}"]`)?.click();
    return;
  }
  const keys = {
    "/": () => document.getElementById("search")?.select() ?? document.getElementById("search")?.focus(),
    j: () => move(1),
    k: () => move(-1),
    Enter: () => document.querySelector("[data-chosen] a")?.click(),
    n: () => document.querySelector("a[rel=next]")?.click(),
    u: () => document.querySelector("a[rel=up]")?.click(),
    p: () => main && ((paused = !paused), live(true)),
    g: () => (going = true),
    "?": () => document.getElementById("keys")?.showModal(),
  };
  if (!(event.key in keys) || (event.key === "Enter" && event.target.closest("a, button, summary"))) return;
  event.preventDefault();
  keys[event.key]();
});

prepare(document);
for (const node of document.querySelectorAll("[data-back]")) node.hidden = history.length < 2;
// Coming back by the browser's own button finds the fields as they were, not switched off.
addEventListener("pageshow", () => document.querySelectorAll("form [disabled]").forEach((f) => (f.disabled = false)));
if (main) {
  live(true);
  timer = setTimeout(refresh, 1000 * Number(main.dataset.refresh));
  addEventListener("pagehide", () => clearTimeout(timer));
}
