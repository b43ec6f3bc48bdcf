// One answer each: what can this persona do, who can touch this object, who can see this column?

/** A choice that changes the address. */
function Choice({ label, value, options, to }) {
  return html`<p class="choice"><label>${label} <select value=${value} onChange=${(event) => go(to(event.target.value))}>
    ${options.includes(value) ? null : html`<option value=${value}>${value || "choose"}</option>`}
    ${options.map((each) => html`<option value=${each}>${each}</option>`)}</select></label></p>`;
}

const Unknown = ({ what, name, known }) => html`<p class="empty">There is no ${what} “${name}” in this report. Choose one of ${known}.</p>`;

/** What can this persona do? */
function PersonaView({ route }) {
  const name = route.params.get("name") ?? personas[0]?.name ?? "";
  const index = personaIndex.get(name);
  const who = personas[index];
  return html`<section class="card"><h1 tabindex="-1">What can ${name || "a persona"} do?</h1>
    <${Choice} label="Persona" value=${name} options=${personas.map((each) => each.name)} to=${personaLink} />
    ${who ? html`<${PersonaFacts} who=${who} /><${PersonaAnswer} index=${index} />` : html`<${Unknown} what="persona" name=${name} known="the list" />`}</section>`;
}

function PersonaFacts({ who }) {
  const pairs = (mapping) => Object.entries(mapping).map(([key, value]) => html`<code>${key} = ${typeof value === "string" ? value : JSON.stringify(value)}</code> `);
  return html`<dl class="facts"><dt>role</dt><dd><code>${who.role}</code></dd>
    ${Object.keys(who.claims).length ? html`<dt>claims</dt><dd>${pairs(who.claims)}</dd>` : null}
    ${Object.keys(who.settings).length ? html`<dt>settings</dt><dd>${pairs(who.settings)}</dd>` : null}
    ${who.setup ? html`<dt>before it acts</dt><dd><code>${who.setup}</code></dd>` : null}</dl>`;
}

function PersonaAnswer({ index }) {
  const reached = objects.filter((object) => reaches(object, index));
  const rest = objects.filter((object) => !reaches(object, index));
  const { name } = personas[index];
  return html`<p class="lead">${reached.length ? html`${name} can do something with <b>${reached.length} of ${count(objects.length, "object")}</b>.` : html`${name} can do <b>nothing</b> with any of ${count(objects.length, "object")}.`}
      ${" "}<a href=${address("map", { personas: name, level: "any" })}>On the map</a></p>
    ${bySchema(reached).map(([schema, list]) => html`<h2>${schema || "no schema"}</h2><ul class="answers many">${list.map((object) => html`<li><span class="marks"><${EntryMarks} object=${object} persona=${index} /></span>
      <div><${ObjectName} name=${object.name} /> <span class="kind-word">${object.kind}</span><br />${name} ${sentence(object, index)}. <a class="why" href=${cellLink(object.name, name)} aria-label=${`Why: ${name} on ${object.name}`}>Why?</a>
      <${ReachedRows} entries=${access(object, index)} /></div></li>`)}</ul>`)}
    ${rest.length ? html`<h2>Nothing with these</h2><p>${rest.map((object, place) => html`${place ? ", " : ""}<a href=${cellLink(object.name, name)}><code>${broken(object.name)}</code></a>`)}</p>` : null}`;
}

function EntryMarks({ object, persona }) {
  return access(object, persona).map((entry) => html`<${Mark} slot=${entry.slot} level=${entry.level} />`);
}

/** Which rows, for each command that reaches only some. */
function ReachedRows({ entries }) {
  const some = entries.filter((each) => each.level === "some" && rowNames(each.rows).length);
  if (!some.length) return null;
  return html`<ul class="which">${some.map((each) => html`<li>${each.slot.key}: <${Rows} names=${rowNames(each.rows)} /></li>`)}</ul>`;
}

/** Who can touch this table, view or function? */
function ObjectView({ route }) {
  const name = route.params.get("name") ?? objects[0]?.name ?? "";
  const object = objectByName.get(name);
  const verb = { view: "read", function: "call" }[object?.kind] ?? "touch";
  return html`<section class="card"><h1 tabindex="-1">Who can ${verb} ${object ? broken(object.bare) : "this"}?</h1>
    <${Choice} label="Object" value=${name} options=${objects.map((each) => each.name)} to=${objectLink} />
    ${object ? html`<${ObjectFacts} object=${object} /><${WhoCan} object=${object} />` : html`<${Unknown} what="object" name=${name} known="the list" />`}</section>
    ${object ? html`<${ObjectParts} object=${object} />` : null}`;
}

function ObjectFacts({ object }) {
  return html`<dl class="facts"><dt>${object.kind}</dt><dd><code>${object.name}</code> <${Place} place=${object.place} />${object.phase ? html`, made in phase ${object.phase}` : ""}</dd>
    ${object.kind === "table" ? html`<dt>row-level security</dt><dd>${object.row_security ? "on" : html`<strong class="wrong">off: grants alone decide</strong>`}</dd>` : null}
    <dt>test</dt><dd>${object.test ? html`<code class="test-id">${object.test}</code> <${Place} place=${object.test_place} />` : "no grid asserts this access; it was measured"}</dd></dl>`;
}

/** For each command: everybody who can do it, with the rows, and who cannot. */
function WhoCan({ object }) {
  return slotsOf(object).map((slot) => {
    const found = personas.map((_, persona) => [persona, access(object, persona).find((each) => each.slot === slot)]).filter(([, entry]) => entry);
    if (!found.length) return null;
    const can = found.filter(([, entry]) => entry.level !== "none");
    const cannot = found.filter(([, entry]) => entry.level === "none").map(([persona]) => personas[persona].name);
    return html`<h2 class="who">${slot.key}</h2><ul class="answers">${can.map(([persona, entry]) => html`<li><span class="marks"><${Mark} slot=${slot} level=${entry.level} /></span><div><${PersonaName} name=${personas[persona].name} /> can ${together([phrase(object, entry)])}${entry.level === "some" && rowNames(entry.rows).length ? html`: <${Rows} names=${rowNames(entry.rows)} />` : ""}. <a class="why" href=${cellLink(object.name, personas[persona].name)} aria-label=${`Why: ${personas[persona].name}, ${slot.key}`}>Why?</a></div></li>`)}</ul>
      <p class="nobody">${can.length ? (cannot.length ? `Cannot: ${listed(cannot)}.` : "Nobody is refused.") : "Nobody can."}</p>`;
  });
}

/** The rest of an object: columns, policies, grants, what it uses and what uses it, its text. */
function ObjectParts({ object }) {
  const users = usedBy(object);
  return html`
    ${object.columns.length ? html`<${Section} title="Columns" id="columns" note="The roles that hold the privilege. Who sees which rows is above."><${Table} caption="Columns and privileges" head=${["column", "type", "select", "insert", "update"]}>
      ${object.columns.map((column) => html`<tr><th scope="row"><a href=${columnLink(object.name, column.name)}>${column.name}</a></th><td><code>${column.type}</code></td>${["select", "insert", "update"].map((each) => html`<td>${column[each].length ? [...column[each]].join(", ") : "–"}</td>`)}</tr>`)}<//><//>` : null}
    ${object.kind === "table" ? html`<${Section} title="Policies" id="policies" note=${object.row_security ? "One permissive policy must let a row through, and every restrictive one." : "Row-level security is off, so no policy decides."}>
      ${object.policies.length ? object.policies.map((policy) => html`<${Policy} policy=${policy} />`) : html`<p class="empty">No policies.</p>`}<//>` : null}
    <${Section} title="Grants" id="grants">${Object.entries(object.privileges).some(([, each]) => each.length) ? html`<ul>${Object.entries(object.privileges).filter(([, each]) => each.length).map(([role, each]) => html`<li><code>${role}</code> holds ${each.join(", ")}</li>`)}</ul>` : html`<p class="empty">No role of a persona holds a privilege on the whole ${object.kind}.</p>`}<//>
    ${object.decided_by.length || object.depends_on.length || users.length || object.triggers.length ? html`<section class="card"><${Depends} object=${object} />
      ${users.length ? html`<h3>Used by</h3><p>${users.map((each, index) => html`${index ? ", " : ""}<${ObjectName} name=${each.name} /> (${each.kind})`)}</p>` : null}
      ${object.triggers.length ? html`<h3>Triggers</h3><p>${listed([...object.triggers])}</p>` : null}</section>` : null}
    ${object.definition ? html`<${Section} title="Definition" id="definition"><pre tabindex="0"><code>${object.definition}</code></pre><//>` : null}`;
}

/** Who can see this column? */
function ColumnView({ route }) {
  const withColumns = objects.filter((object) => object.columns.length);
  const object = objectByName.get(route.params.get("object") ?? withColumns[0]?.name);
  const names = object?.columns.map((column) => column.name) ?? [];
  const name = route.params.get("name") ?? names[0] ?? "";
  const column = object?.columns.find((each) => each.name === name);
  return html`<section class="card"><h1 tabindex="-1">Who can see ${object ? html`${broken(object.bare)}.` : ""}${name || "a column"}?</h1>
    ${withColumns.length ? html`<${Choice} label="Object" value=${object?.name ?? ""} options=${withColumns.map((each) => each.name)} to=${(value) => columnLink(value, "")} />
    <${Choice} label="Column" value=${name} options=${names} to=${(value) => columnLink(object.name, value)} />` : html`<p class="empty">No columns are in this report.</p>`}
    ${column ? html`<${ColumnAnswer} object=${object} column=${column} />` : null}</section>`;
}

function ColumnAnswer({ object, column }) {
  const users = usedBy(object);
  const holds = (persona, command) => column[command].includes(personas[persona].role);
  const reading = personas.map((who, persona) => ({ who, persona, entry: access(object, persona).find((each) => each.slot.key === "select"), holds: holds(persona, "select") }));
  const sees = reading.filter((each) => each.holds && each.entry && each.entry.level !== "none");
  const empty = reading.filter((each) => each.holds && !sees.includes(each));
  const refused = reading.filter((each) => !each.holds);
  const writing = personas.filter((_, persona) => holds(persona, "update") && access(object, persona).some((each) => each.slot.key === "update" && each.level !== "none"));
  const names = (list) => list.map((each) => each.who.name);
  return html`<ul class="answers">${sees.map(({ who, entry }) => html`<li><span class="marks"><${Mark} slot=${entry.slot} level=${entry.level} /></span><div><${PersonaName} name=${who.name} /> sees it in ${entry.level === "all" ? "all rows" : html`some rows${rowNames(entry.rows).length ? html`: <${Rows} names=${rowNames(entry.rows)} />` : ""}`}.</div></li>`)}</ul>
    <p>${sees.length ? "" : "Nobody sees it here. "}${empty.length ? html`${listed(names(empty))} may select the column, and ${empty.length > 1 ? "get" : "gets"} no row. ` : ""}${refused.length ? html`${listed(names(refused))} ${refused.length > 1 ? "hold" : "holds"} no privilege to select it.` : ""}</p>
    <p>${writing.length ? html`Can change it in rows: ${listed(writing.map((each) => each.name))}.` : "Nobody can change it with an update."}</p>
    ${users.length ? html`<h2>Other ways to it</h2><p class="note">These use ${object.bare}, and may show the column.</p><ul>${users.map((each) => html`<li><${ObjectName} name=${each.name} /> (${each.kind}): ${reachedBy(each)}</li>`)}</ul>` : null}`;
}

function reachedBy(object) {
  const names = personas.filter((_, persona) => reaches(object, persona)).map((each) => each.name);
  return names.length ? listed(names) : "nobody can use it";
}
