// The map: tables, views and functions down, personas across. The arrow keys move in it as in a spreadsheet.

const KEYS = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [-10, 0],
  PageDown: [10, 0],
};

/** What a screen reader says for a cell. */
function spoken(object, persona) {
  const entries = access(object, persona).map((each) => `${each.slot.key} ${LEVELS[each.level]}`);
  const differs = access(object, persona).some((each) => each.differs) ? "; differs from the grid" : "";
  const changed = changesOf(object, persona)
    .map((each) => `; ${each.sign} ${each.command}`)
    .join("");
  return `${personas[persona].name}, ${object.name}: ${entries.join(", ") || "not tried"}${differs}${changed}`;
}

const hasSigns =
  changes.size > 0 || objects.some((object) => object.commands.some((each) => Object.keys(each.expected).length));
// The width of a cell in pixels. It is fixed, so that the browser need not look at each cell to lay the map out.
const CELL = Math.max(
  64,
  WIDTH * Math.max(0, ...objects.map((object) => slotsOf(object).length)) + (hasSigns ? 38 : 14),
);

/** The signs of a cell beside its marks: it differs from the grid, something was gained or lost. */
function signs(object, persona) {
  const found = new Set(changesOf(object, persona).map((each) => each.sign));
  if (access(object, persona).some((each) => each.differs)) found.add("differs");
  if (!found.size) return null;
  const sign = (name, title) => found.has(name) && html`<b class="sign ${name}" title=${title}></b>`;
  return html`<span class="signs" aria-hidden="true">
    ${sign("differs", "differs from the grid")}${sign("gained", "gained")}${sign("lost", "lost")}
  </span>`;
}

function mapCell(object, persona) {
  return h(
    "td",
    {
      tabindex: "-1",
      "data-object": object.index,
      "data-persona": persona,
      "data-marks": code(object, persona),
      "aria-label": spoken(object, persona),
    },
    signs(object, persona),
  );
}

/** One row of the map. It is drawn again only if other personas are shown. */
class MapRow extends Component {
  shouldComponentUpdate(next) {
    return next.shown !== this.props.shown || next.object !== this.props.object;
  }

  render({ object, shown }) {
    return html`<tr>
      <th scope="row" tabindex="-1">
        <a tabindex="-1" href=${objectLink(object.name)}
          ><span class="kind" title=${object.kind} aria-label=${object.kind}>${object.kind[0].toUpperCase()}</span>
          <span class="bare">${broken(object.bare)}</span></a
        >
      </th>
      ${shown.map((persona) => mapCell(object, persona))}
    </tr>`;
  }
}

/** Objects by schema, in their order. */
function bySchema(list) {
  const found = new Map();
  for (const object of list) {
    if (!found.has(object.schema)) found.set(object.schema, []);
    found.get(object.schema).push(object);
  }
  return [...found];
}

function PersonaHeading({ name }) {
  return html`<th scope="col" tabindex="-1"><a tabindex="-1" href=${personaLink(name)}>${broken(name)}</a></th>`;
}

function MapTable({ result, label }) {
  const widths = { "--columns": result.personas.length, "--cell": `${CELL}px` };
  return html`<div class="map-width" style=${widths}>
    <table class="map" role="grid" aria-label=${label}>
      <colgroup>
        <col class="names" />
        ${result.personas.map(() => html`<col class="cells" />`)}
      </colgroup>
      <thead>
        <tr>
          <td class="corner" tabindex="-1"><span class="hidden">object</span></td>
          ${result.personas.map((persona) => html`<${PersonaHeading} name=${personas[persona].name} />`)}
        </tr>
      </thead>
      ${bySchema(result.objects).map(
        ([schema, list]) =>
          html`<tbody>
            ${
              schema &&
              html`<tr class="schema">
                <th scope="rowgroup" colspan=${result.personas.length + 1}><span>${schema}</span></th>
              </tr>`
            }
            ${list.map((object) => html`<${MapRow} key=${object.name} object=${object} shown=${result.personas} />`)}
          </tbody>`,
      )}
    </table>
  </div>`;
}

/** The map with its keyboard. `selected` is the open cell; `open(object, persona)` opens one. */
function AccessGrid({ result, selected, open }) {
  const box = useRef(null);
  useLayoutEffect(() => {
    box.current.querySelector("[aria-selected]")?.removeAttribute("aria-selected");
    const cell =
      selected &&
      box.current.querySelector(`[data-object="${selected.object.index}"][data-persona="${selected.persona}"]`);
    cell?.setAttribute("aria-selected", "true");
    const stop = box.current.querySelector('table [tabindex="0"]');
    if (!stop || cell) makeStop(box.current, cell ?? box.current.querySelector("td[data-object]"));
  });
  const onClick = (event) => {
    const cell = event.target.closest("td[data-object]");
    if (!cell) return;
    makeStop(box.current, cell);
    open(objects[cell.dataset.object], Number(cell.dataset.persona));
  };
  return html`<div class="map-box" ref=${box} onClick=${onClick} onKeyDown=${(event) => onKey(event, box.current)}>
    <${MapTable} result=${result} label="Who can do what: objects down, personas across" />
  </div>`;
}

/** Make a cell the one that Tab stops at. */
function makeStop(box, cell) {
  if (!cell) return;
  for (const each of box.querySelectorAll('table [tabindex="0"]')) each.tabIndex = -1;
  cell.tabIndex = 0;
}

function onKey(event, box) {
  const cell = event.target.closest(".map td, .map th");
  if (!cell || event.altKey) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    (cell.querySelector("a") ?? cell).click();
    return;
  }
  const next = neighbour(cell, event, box);
  if (!next) return;
  event.preventDefault();
  makeStop(box, next);
  next.focus();
  next.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function neighbour(cell, { key, ctrlKey }, box) {
  const rows = [...box.querySelectorAll(".map tr:not(.schema)")];
  const row = rows.indexOf(cell.parentElement);
  const last = rows[row].cells.length - 1;
  if (key === "Home") return rows[ctrlKey ? 0 : row].cells[0];
  if (key === "End") return rows[ctrlKey ? rows.length - 1 : row].cells[last];
  if (!KEYS[key]) return null;
  const [down, right] = KEYS[key];
  const target = rows[Math.min(Math.max(row + down, 0), rows.length - 1)];
  return target.cells[Math.min(Math.max(cell.cellIndex + right, 0), last)];
}

/** Whether there is an object without a grid that somebody holds a privilege on. */
function anyHeld() {
  return objects.some((object) =>
    object.commands.some((each) => privilegeOnly(each.command) && each.verdicts.some(allowed)),
  );
}

/** What the marks mean. */
function Legend() {
  return html`<dl class="legend" aria-label="What the marks mean">
    ${Object.entries(LEVELS)
      .filter(([level]) => level !== "held" || anyHeld())
      .map(
        ([level, text]) =>
          html`<div>
            <dt><${Mark} slot=${SLOTS[0]} level=${level} /></dt>
            <dd>${text}</dd>
          </div>`,
      )}
    ${slots.map(
      (slot) =>
        html`<div>
          <dt><b>${slot.letter}</b></dt>
          <dd title=${slot.title}>${slot.key}</dd>
        </div>`,
    )}
    <div>
      <dt><b class="sign differs"></b></dt>
      <dd>differs from the grid</dd>
    </div>
    ${
      report.changes &&
      html`<div>
          <dt><b class="sign gained"></b></dt>
          <dd>gained</dd>
        </div>
        <div>
          <dt><b class="sign lost"></b></dt>
          <dd>lost</dd>
        </div>`
    }
  </dl>`;
}
