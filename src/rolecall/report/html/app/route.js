// What is shown is in the address, after the #: a link shows what its sender saw, and Back works.

const { h, render, Component } = preact;
const { useState, useEffect, useLayoutEffect, useMemo, useRef } = preactHooks;
const VIEWS = [
  "map",
  "changes",
  "persona",
  "object",
  "column",
  "tests",
  "coverage",
  "mutants",
  "phases",
  "findings",
  "drift",
];

const build = htm.bind(h);
const templates = new WeakMap();

/** A template as Preact's elements. As in HTML, a line break is a space; htm alone would drop it. */
function html(strings, ...values) {
  if (!templates.has(strings)) {
    templates.set(strings, strings.map((text) => text.replace(/\s*\n\s*/g, " ")));
  }
  return build(templates.get(strings), ...values);
}

/** Whether the address has changed since the page was opened. Until then, the focus stays where the browser has it. */
const visited = { moved: false };

/** The view and its parameters, from the address. The viewer of mutants has addresses of its own: #mutant/… and #test/… */
function readRoute() {
  const text = location.hash.slice(1);
  if (/^(mutant|test)(\/|$)/.test(text)) return { view: "mutants", params: new URLSearchParams() };
  const [view, query = ""] = split(text);
  return { view: VIEWS.includes(view) ? view : "map", params: new URLSearchParams(query) };
}

function split(text) {
  const end = text.indexOf("?");
  return end < 0 ? [text] : [text.slice(0, end), text.slice(end + 1)];
}

/** The address of a view. Parameters that are empty are left out. */
function address(view, params = {}) {
  if (view === "mutants") return "#mutant";
  const query = new URLSearchParams();
  const entries = params instanceof URLSearchParams ? params : Object.entries(params);
  for (const [key, value] of entries) if (value) query.append(key, value);
  const text = query.toString();
  return `#${view}${text ? `?${text}` : ""}`;
}

/** Go to an address. With `replace`, Back does not stop at the present one. */
function go(target, { replace = false } = {}) {
  if (target === location.hash) return;
  if (replace) location.replace(target);
  else location.hash = target;
}

/** The present address with other parameters; a value that is empty removes one. */
function withParams(route, values) {
  const params = new URLSearchParams(route.params);
  for (const [key, value] of Object.entries(values)) {
    if (value) params.set(key, value);
    else params.delete(key);
  }
  return address(route.view, params);
}

const personaLink = (name) => address("persona", { name });
const objectLink = (name) => address("object", { name });
const columnLink = (object, name) => address("column", { object, name });
const cellLink = (object, persona) => address("map", { object, persona });
