// The report, and what the page works out from it: who has which access to what.

const report = JSON.parse(document.getElementById("report").textContent);
const personas = report.personas;
const personaIndex = new Map(personas.map((persona, index) => [persona.name, index]));
const objects = report.objects.map((object, index) => ({ ...object, ...named(object.name), index, cells: [] }));
const objectByName = new Map(objects.map((object) => [object.name, object]));
const slots = SLOTS.filter((slot) => objects.some((object) => object.commands.some((each) => slotOf(object.kind, each.command) === slot.key)));
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
  const name = personas[persona].name;
  const rows = commands.filter((each) => allowed(each.verdicts[persona] ?? "-"));
  const partial = rows.some((each) => fewer(at(each.details, name, "")));
  return {
    slot,
    commands,
    rows,
    level: !rows.length ? "none" : rows.length < commands.length || partial ? "some" : "all",
    differs: commands.some((each) => at(each.expected, name) !== undefined),
    undecided: commands.some((each) => String(each.verdicts[persona]).endsWith("?")),
  };
}

/** Whether a detail such as "2 of 7 rows" says that not every row is shown. */
function fewer(detail) {
  const found = /\b(\d+) of (\d+)\b/.exec(detail);
  return Boolean(found) && Number(found[1]) < Number(found[2]);
}

/** Whether the persona can do anything with the object. */
function reaches(object, persona) {
  return access(object, persona).some((each) => each.level !== "none");
}

/** The distinct names of rows, in their order. */
function rowNames(commands) {
  return [...new Set(commands.map((each) => each.row).filter(Boolean))];
}

/** "read all 5 rows, add 2 of 5": what an access is, without its subject. */
function phrase(object, entry) {
  const { slot, rows, commands, level } = entry;
  if (slot.key === "execute") return level === "none" ? "call" : rows.length < commands.length ? `call (${rows.length} of ${commands.length} calls)` : "call";
  const verb = slot.key === "moves" ? `do ${listed([...new Set(rows.map((each) => `“${each.command}”`))])} with` : slot.verb;
  const names = rowNames(commands);
  if (level === "none") return slot.key === "moves" ? "move" : slot.verb;
  if (!names.length) return level === "some" ? `${verb} some rows` : `${verb} rows`;
  const reached = rowNames(rows).length;
  if (slot.key === "moves") return `${verb} ${reached} of ${names.length} rows`;
  return reached === names.length ? `${verb} ${names.length === 1 ? "the row" : `all ${names.length} rows`}` : `${verb} ${reached} of ${names.length} rows`;
}

/** What a persona can and cannot do with an object, as one sentence without its subject. */
function sentence(object, persona) {
  const entries = access(object, persona);
  if (!entries.length) return "was not tried";
  const can = entries.filter((each) => each.level !== "none");
  const cannot = entries.filter((each) => each.level === "none");
  const not = cannot.length ? `cannot ${listed(cannot.map((each) => phrase(object, each)), "or")}` : "";
  if (!can.length) return not;
  const does = `can ${listed(can.map((each) => phrase(object, each)))}`;
  return not ? `${does}; ${not}` : does;
}

/** The objects that use this one. */
function usedBy(object) {
  return objects.filter((each) => each !== object && each.depends_on.includes(object.name));
}

/** The id of the test of a cell, and its place. */
function cellTest(object, command, persona) {
  if (!object.test) return null;
  const line = command.lines?.[persona] || object.test_place.line;
  const id = command.lines?.length ? `${object.test}[${command.row}-${command.command}-${personas[persona].name}]` : object.test;
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
