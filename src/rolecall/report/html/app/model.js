// The report, and what the page works out from it: who has which access to what.

const report = JSON.parse(document.getElementById("report").textContent);
const personas = report.personas;
const personaIndex = new Map(personas.map((persona, index) => [persona.name, index]));
const objects = report.objects.map((object, index) => ({ ...object, ...named(object.name), index, cells: [] }));
const objectByName = new Map(objects.map((object) => [object.name, object]));
const slots = SLOTS.filter((slot) =>
  objects.some((object) => object.commands.some((each) => slotOf(object.kind, each.command) === slot.key)),
);
const changes = changedCells();

/** The value of a key of an object from the JSON, or a default: a persona may be called "constructor". */
function at(mapping, key, missing) {
  return mapping && Object.hasOwn(mapping, key) ? mapping[key] : missing;
}

/** The schema and the name in it, of `schema.name` or `"a schema"."a.name"`. */
function named(name) {
  const found = /^("(?:[^"]|"")+"|[^".(]+)\.(.+)$/s.exec(name);
  return found ? { schema: found[1], bare: found[2] } : { schema: "", bare: name };
}

/** The access of a persona to an object, one entry for each slot that the object has. Worked out once. */
function access(object, persona) {
  object.cells[persona] ??= slots.map((slot) => slotAccess(object, persona, slot)).filter(Boolean);
  return object.cells[persona];
}

function slotAccess(object, persona, slot) {
  const commands = object.commands.filter((each) => slotOf(object.kind, each.command) === slot.key);
  if (!commands.length) return null;
  const { name } = personas[persona];
  const tried = commands.filter((each) => each.verdicts[persona]);
  const rows = tried.filter((each) => allowed(each.verdicts[persona]));
  const shown = rows.length === 1 && !rows[0].row && slot.key === "select" ? shownRows(rows[0], name) : null;
  return {
    slot,
    commands,
    tried,
    rows,
    shown,
    level: level(tried, rows, shown),
    differs: commands.some((each) => at(each.expected, name) !== undefined),
  };
}

function level(tried, rows, shown) {
  if (!rows.length) return "none";
  if (rows.every((each) => privilegeOnly(each.command))) return "held";
  return rows.length < tried.length || (shown && shown.rows < shown.most) ? "some" : "all";
}

/** How many rows a select without names shows to a persona, and the most that it shows to one; null if not known. */
function shownRows(command, name) {
  const rows = (detail) => /^(\d+) rows?\b/.exec(detail)?.[1];
  const own = rows(at(command.details, name, ""));
  if (own === undefined) return null;
  return {
    rows: Number(own),
    most: Math.max(...Object.values(command.details).map((each) => Number(rows(each) ?? 0))),
  };
}

/** Whether the persona can do anything with the object. */
function reaches(object, persona) {
  return access(object, persona).some((each) => each.level !== "none");
}

/** The distinct names of rows, in their order. */
function rowNames(commands) {
  return [...new Set(commands.map((each) => each.row).filter(Boolean))];
}

/** The verb and the rows of an access: "read" and "2 of 5 rows". */
function phrase(object, { slot, tried, rows, shown, level: reached }) {
  if (slot.key === "call") return { verb: "call", what: "it" };
  if (slot.key === "moves" && rows.length)
    return {
      verb: `do ${listed([...new Set(rows.map((each) => `“${each.command}”`))])} with`,
      what: ofRows(rowNames(rows).length, rowNames(tried).length),
    };
  if (reached === "held") return { verb: slot.verb, what: "rows, as far as the privilege goes" };
  if (reached === "none") return { verb: slot.verb, what: "" };
  if (shown) return { verb: slot.verb, what: ofRows(shown.rows, shown.most) };
  return { verb: slot.verb, what: ofRows(rowNames(rows).length, rowNames(tried).length) };
}

function ofRows(some, all) {
  if (!all) return "rows";
  if (some < all) return `${some} of ${all} rows`;
  return all === 1 ? "the row" : `all ${all} rows`;
}

/** The verbs with the same rows together: "read and add all 5 rows, and change 2 of 5 rows". */
function together(phrases) {
  const byRows = new Map();
  for (const { verb, what } of phrases) byRows.set(what, [...(byRows.get(what) ?? []), verb]);
  const parts = [...byRows].map(([what, verbs]) => `${listed(verbs)} ${what}`.trim());
  return parts.length > 1 ? `${parts.slice(0, -1).join(", ")}, and ${parts[parts.length - 1]}` : parts.join("");
}

/** What a persona can and cannot do with an object, as one sentence without its subject. */
function sentence(object, persona) {
  const entries = access(object, persona).filter((each) => each.tried.length);
  if (!entries.length) return "was not tried here";
  const can = entries.filter((each) => each.level !== "none");
  const not = entries.filter((each) => each.level === "none").map((each) => each.slot.verb);
  const cannot = not.length ? `cannot ${listed(not, "or")} ${object.kind === "function" ? "it" : "any row"}` : "";
  if (!can.length) return cannot;
  return [`can ${together(can.map((each) => phrase(object, each)))}`, cannot].filter(Boolean).join("; ");
}

/** The objects that use this one. */
function usedBy(object) {
  return objects.filter((each) => each !== object && each.depends_on.includes(object.name));
}

/** The id of the test of a cell, and its place. */
function cellTest(object, command, persona) {
  if (!object.test) return null;
  const line = command.lines?.[persona] || object.test_place.line;
  const id = command.lines?.length
    ? `${object.test}[${command.row}-${command.command}-${personas[persona].name}]`
    : object.test;
  return { id, place: { file: object.test_place.file, line } };
}

/** The gains and losses after all phases, by object and persona. */
function changedCells() {
  const found = new Map();
  for (const sign of ["gained", "lost"]) {
    for (const entry of report.changes?.[sign] ?? []) {
      const key = JSON.stringify([entry.object, entry.persona]);
      if (!found.has(key)) found.set(key, []);
      found.get(key).push({ ...entry, sign });
    }
  }
  return found;
}

/** The changes of one cell: those at the head, and those after a phase. */
function changesOf(object, persona) {
  return changes.get(JSON.stringify([object.name, personas[persona].name])) ?? [];
}
