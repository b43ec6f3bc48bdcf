// The filters of the map. All of them are in the address.

/** The filters of an address. `persona` and `object` are the cell whose details are open, and no filters. */
function readFilters(params) {
  const list = (key) => (params.get(key) ?? "").split("\n").filter(Boolean);
  return {
    q: params.get("q") ?? "",
    kinds: list("kind"),
    personas: list("personas"),
    command: SLOT.has(params.get("command")) ? params.get("command") : "",
    level: ["any", ...Object.keys(LEVELS)].includes(params.get("level")) ? params.get("level") : "",
    only: ["differs", "changed", "untested"].includes(params.get("only")) ? params.get("only") : "",
  };
}

/** The personas (as indexes) and objects that the filters leave. */
function filtered(filters) {
  const known = filters.personas.map((name) => personaIndex.get(name)).filter((index) => index !== undefined);
  let shown = known.length
    ? personas.map((_, index) => index).filter((index) => known.includes(index))
    : personas.map((_, index) => index);
  const words = filters.q.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = objects.filter((object) => {
    if (filters.kinds.length && !filters.kinds.includes(object.kind)) return false;
    if (!words.every((word) => object.name.toLowerCase().includes(word))) return false;
    if (filters.only === "untested" && object.test) return false;
    return !needsCell(filters) || shown.some((persona) => matches(object, persona, filters));
  });
  if (needsCell(filters)) shown = shown.filter((persona) => rows.some((object) => matches(object, persona, filters)));
  return { personas: shown, objects: rows };
}

function needsCell(filters) {
  return Boolean(filters.level || filters.command || ["differs", "changed"].includes(filters.only));
}

/** Whether a cell has what the filters look for. */
function matches(object, persona, { command, level, only }) {
  if (only === "changed" && !changesOf(object, persona).length) return false;
  return access(object, persona).some((entry) => {
    if (command && entry.slot.key !== command) return false;
    if (only === "differs" && !entry.differs) return false;
    if (level === "any") return entry.level !== "none";
    return !level || entry.level === level;
  });
}

/** The form above the map. */
function Filters({ route, filters, result }) {
  const set = (values, how) => go(withParams(route, values), how);
  const toggle = (key, values, value) =>
    set({ [key]: (values.includes(value) ? values.filter((each) => each !== value) : [...values, value]).join("\n") });
  const kinds = Object.keys(KINDS).filter((kind) => objects.some((object) => object.kind === kind));
  const active = ["q", "kind", "personas", "command", "level", "only"].some((key) => route.params.get(key));
  const [open] = useState(() => Boolean(active) || !matchMedia("(max-width: 600px)").matches);
  return html`<details class="filter-box" open=${open}>
    <summary>Filters</summary>
    <form class="filters" role="search" aria-label="Filter the map" onSubmit=${(event) => event.preventDefault()}>
      <label
        >Search
        <input
          type="search"
          id="search"
          value=${filters.q}
          placeholder="table, view or function"
          onInput=${(event) => set({ q: event.target.value }, { replace: true })}
      /></label>
      ${
        kinds.length > 1 &&
        html`<fieldset>
          <legend>Kind</legend>
          ${kinds.map((kind) => check(KINDS[kind], filters.kinds.includes(kind), () => toggle("kind", filters.kinds, kind)))}
        </fieldset>`
      }
      <${PersonaFilter} filters=${filters} toggle=${toggle} />
      <label
        >Command
        <select value=${filters.command} onChange=${(event) => set({ command: event.target.value })}>
          <option value="">every command</option>
          ${slots.map((slot) => html`<option value=${slot.key}>${slot.key}</option>`)}
        </select></label
      >
      <label
        >Access
        <select value=${filters.level} onChange=${(event) => set({ level: event.target.value })}>
          <option value="">any or none</option>
          <option value="any">all or some rows</option>
          ${Object.entries(LEVELS).map(([key, text]) => html`<option value=${key}>${text}</option>`)}
        </select></label
      >
      <label
        >Only
        <select value=${filters.only} onChange=${(event) => set({ only: event.target.value })}>
          <option value="">everything</option>
          <option value="differs">what differs from the grids</option>
          ${report.changes && html`<option value="changed">what has changed</option>`}
          <option value="untested">what has no grid</option>
        </select></label
      >
      <p class="result" role="status">
        ${result.objects.length} of ${count(objects.length, "object")}, ${result.personas.length} of
        ${count(personas.length, "persona")} ${active ? html` <a href=${address(route.view)}>Show everything</a>` : ""}
      </p>
    </form>
  </details>`;
}

function check(text, checked, change) {
  return html`<label class="check"><input type="checkbox" checked=${checked} onChange=${change} /> ${text}</label>`;
}

function PersonaFilter({ filters, toggle }) {
  const known = filters.personas.filter((name) => personaIndex.has(name));
  return html`<details class="menu" onKeyDown=${closeMenu}>
    <summary>Personas: ${known.length ? count(known.length, "chosen", "chosen") : "all"}</summary>
    <div class="choices">
      ${personas.map(({ name }) => check(name, known.includes(name), () => toggle("personas", known, name)))}
    </div>
  </details>`;
}

function closeMenu(event) {
  if (event.key !== "Escape") return;
  event.currentTarget.open = false;
  event.currentTarget.querySelector("summary").focus();
  event.stopPropagation();
}
