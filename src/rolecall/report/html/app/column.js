// The answer to: who can see this column?

/** Who can see this column? */
function ColumnView({ route }) {
  const withColumns = objects.filter((object) => object.columns.length);
  const object = objectByName.get(route.params.get("object") ?? withColumns[0]?.name);
  const names = object?.columns.map((column) => column.name) ?? [];
  const name = route.params.get("name") ?? names[0] ?? "";
  const column = object?.columns.find((each) => each.name === name);
  return html`<section class="card">
    <h1 tabindex="-1">Who can see ${object ? html`${broken(object.bare)}.` : ""}${name || "a column"}?</h1>
    ${
      withColumns.length
        ? html`<${Choice}
              label="Object"
              value=${object?.name ?? ""}
              options=${withColumns.map((each) => each.name)}
              to=${(value) => columnLink(value, "")}
            />
            <${Choice} label="Column" value=${name} options=${names} to=${(value) => columnLink(object.name, value)} />`
        : html`<p class="empty">No columns are in this report.</p>`
    }
    ${column ? html`<${ColumnAnswer} object=${object} column=${column} />` : null}
  </section>`;
}

function ColumnAnswer({ object, column }) {
  const users = usedBy(object);
  const holds = (persona, command) => column[command].includes(personas[persona].role);
  const reading = personas.map((who, persona) => ({
    who,
    persona,
    entry: access(object, persona).find((each) => each.slot.key === "select"),
    holds: holds(persona, "select"),
  }));
  const sees = reading.filter((each) => each.holds && each.entry && each.entry.level !== "none");
  const empty = reading.filter((each) => each.holds && !sees.includes(each));
  const refused = reading.filter((each) => !each.holds);
  const writing = personas.filter(
    (_, persona) =>
      holds(persona, "update") &&
      access(object, persona).some((each) => each.slot.key === "update" && each.level !== "none"),
  );
  const names = (list) => list.map((each) => each.who.name);
  return html`<ul class="answers">
      ${sees.map(
        ({ who, entry }) =>
          html`<li>
            <span class="marks"><${Mark} slot=${entry.slot} level=${entry.level} /></span>
            <div>
              <${PersonaName} name=${who.name} /> sees it in
              ${entry.level === "all" ? "all rows" : "some rows"}<${SomeRows} entry=${entry} />.
            </div>
          </li>`,
      )}
    </ul>
    <p>
      ${sees.length ? "" : "Nobody sees it here."}
      ${empty.length ? `${listed(names(empty))} may select the column, and ${empty.length > 1 ? "get" : "gets"} no row.` : ""}
      ${refused.length ? `${listed(names(refused))} ${refused.length > 1 ? "hold" : "holds"} no privilege to select it.` : ""}
    </p>
    <p>
      ${writing.length
        ? `Can change it in rows: ${listed(writing.map((each) => each.name))}.`
        : "Nobody can change it with an update."}
    </p>
    ${
      users.length
        ? html`<h2>Other ways to it</h2>
            <p class="note">These use ${object.bare}, and may show the column.</p>
            <ul>
              ${users.map((each) => html`<li><${ObjectName} name=${each.name} /> (${each.kind}): ${reachedBy(each)}</li>`)}
            </ul>`
        : null
    }`;
}

function reachedBy(object) {
  const names = personas.filter((_, persona) => reaches(object, persona)).map((each) => each.name);
  return names.length ? listed(names) : "nobody can use it";
}
