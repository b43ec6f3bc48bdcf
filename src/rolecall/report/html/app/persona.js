// The answer to: what can this persona do? And what the other answers share with it.

/** A choice that changes the address. */
function Choice({ label, value, options, to }) {
  return html`<p class="choice">
    <label
      >${label}
      <select value=${value} onChange=${(event) => go(to(event.target.value))}>
        ${options.includes(value) ? null : html`<option value=${value}>${value || "choose"}</option>`}
        ${options.map((each) => html`<option value=${each}>${each}</option>`)}
      </select></label
    >
  </p>`;
}

const Unknown = ({ what, name, known }) =>
  html`<p class="empty">There is no ${what} “${name}” in this report. Choose one of ${known}.</p>`;

/** What can this persona do? */
function PersonaView({ route }) {
  const name = route.params.get("name") ?? personas[0]?.name ?? "";
  const index = personaIndex.get(name);
  const who = personas[index];
  return html`<section class="card">
    <h1 tabindex="-1">What can ${name || "a persona"} do?</h1>
    <${Choice} label="Persona" value=${name} options=${personas.map((each) => each.name)} to=${personaLink} />
    ${who
      ? html`<${PersonaFacts} who=${who} /><${PersonaAnswer} index=${index} />`
      : html`<${Unknown} what="persona" name=${name} known="the list" />`}
  </section>`;
}

function PersonaFacts({ who }) {
  const pairs = (mapping) =>
    Object.entries(mapping).map(
      ([key, value]) => html`<code>${key} = ${typeof value === "string" ? value : JSON.stringify(value)}</code> `,
    );
  return html`<dl class="facts">
    <dt>role</dt>
    <dd><code>${who.role}</code></dd>
    ${
      Object.keys(who.claims).length
        ? html`<dt>claims</dt>
            <dd>${pairs(who.claims)}</dd>`
        : null
    }
    ${
      Object.keys(who.settings).length
        ? html`<dt>settings</dt>
            <dd>${pairs(who.settings)}</dd>`
        : null
    }
    ${
      who.setup
        ? html`<dt>before it acts</dt>
            <dd><code>${who.setup}</code></dd>`
        : null
    }
  </dl>`;
}

function PersonaAnswer({ index }) {
  const reached = objects.filter((object) => reaches(object, index));
  const rest = objects.filter((object) => !reaches(object, index));
  const { name } = personas[index];
  return html`<p class="lead">
      ${name} can do ${reached.length ? "something" : "nothing"} with
      <b> ${reached.length || "any"} of ${count(objects.length, "object")}</b>.
      ${" "}<a href=${address("map", { personas: name, level: "any" })}>On the map</a>
    </p>
    ${bySchema(reached).map(
      ([schema, list]) =>
        html`<h2>${schema || "no schema"}</h2>
          <ul class="answers many">
            ${list.map(
              (object) =>
                html`<li>
                  <span class="marks"><${EntryMarks} object=${object} persona=${index} /></span>
                  <div>
                    <${ObjectName} name=${object.name} /> <span class="kind-word">${object.kind}</span><br />${name}
                    ${sentence(object, index)}.
                    <a class="why" href=${cellLink(object.name, name)} aria-label=${`Why: ${name} on ${object.name}`}
                      >Why?</a
                    >
                    <${ReachedRows} entries=${access(object, index)} />
                  </div>
                </li>`,
            )}
          </ul>`,
    )}
    ${
      rest.length
        ? html`<h2>Nothing with these</h2>
            <p>
              ${rest.map((object, place) => html`${place ? ", " : ""}<a href=${cellLink(object.name, name)}><code>${broken(object.name)}</code></a>`)}
            </p>`
        : null
    }`;
}

function EntryMarks({ object, persona }) {
  return access(object, persona).map((entry) => html`<${Mark} slot=${entry.slot} level=${entry.level} />`);
}

/** Which rows, for each command that reaches only some. */
function ReachedRows({ entries }) {
  const some = entries.filter((each) => each.level === "some" && rowNames(each.rows).length);
  if (!some.length) return null;
  return html`<ul class="which">
    ${some.map((each) => html`<li>${each.slot.key}: <${Rows} names=${rowNames(each.rows)} /></li>`)}
  </ul>`;
}
