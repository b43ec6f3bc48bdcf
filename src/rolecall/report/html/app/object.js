// The answer to: who can touch this table, view or function?

/** Who can touch this table, view or function? */
function ObjectView({ route }) {
  const name = route.params.get("name") ?? objects[0]?.name ?? "";
  const object = objectByName.get(name);
  const verb = { view: "read", function: "call" }[object?.kind] ?? "touch";
  return html`<section class="card">
      <h1 tabindex="-1">Who can ${verb} ${object ? broken(object.bare) : "this"}?</h1>
      <${Choice} label="Object" value=${name} options=${objects.map((each) => each.name)} to=${objectLink} />
      ${object
        ? html`<${ObjectFacts} object=${object} /><${WhoCan} object=${object} />`
        : html`<${Unknown} what="object" name=${name} known="the list" />`}
    </section>
    ${object ? html`<${ObjectParts} object=${object} />` : null}`;
}

function ObjectFacts({ object }) {
  return html`<dl class="facts">
    <dt>${object.kind}</dt>
    <dd>
      <code>${object.name}</code>
      <${Place} place=${object.place} />${object.phase ? html`, made in phase ${object.phase}` : ""}
    </dd>
    ${
      object.kind === "table"
        ? html`<dt>row-level security</dt>
            <dd>${object.row_security ? "on" : html`<strong class="wrong">off: grants alone decide</strong>`}</dd>`
        : null
    }
    <dt>test</dt>
    <dd>
      ${object.test
          ? html`<code class="test-id">${object.test}</code> <${Place} place=${object.test_place} />`
          : "no grid asserts this access; it was measured"}
    </dd>
  </dl>`;
}

/** For each command: everybody who can do it, with the rows, and who cannot. */
function WhoCan({ object }) {
  return slotsOf(object).map((slot) => {
    const found = personas
      .map((_, persona) => [persona, access(object, persona).find((each) => each.slot === slot)])
      .filter(([, entry]) => entry);
    if (!found.length) return null;
    const can = found.filter(([, entry]) => entry.level !== "none");
    const cannot = found.filter(([, entry]) => entry.level === "none").map(([persona]) => personas[persona].name);
    return html`<h2 class="who">${slot.key}</h2>
      <ul class="answers">
        ${can.map(
          ([persona, entry]) =>
            html`<li>
              <span class="marks"><${Mark} slot=${slot} level=${entry.level} /></span>
              <div>
                <${PersonaName} name=${personas[persona].name} /> can
                ${together([phrase(object, entry)])}<${SomeRows} entry=${entry} />.
                <a
                  class="why"
                  href=${cellLink(object.name, personas[persona].name)}
                  aria-label=${`Why: ${personas[persona].name}, ${slot.key}`}
                  >Why?</a
                >
              </div>
            </li>`,
        )}
      </ul>
      <p class="nobody">
        ${can.length ? (cannot.length ? `Cannot: ${listed(cannot)}.` : "Nobody is refused.") : "Nobody can."}
      </p>`;
  });
}

function policyRule(object) {
  return object.row_security
    ? "One permissive policy must let a row through, and every restrictive one."
    : "Row-level security is off, so no policy decides.";
}

/** The rest of an object: columns, policies, grants, what it uses and what uses it, its text. */
function ObjectParts({ object }) {
  const users = usedBy(object);
  return html` ${
      object.columns.length
        ? html`<${Section}
            title="Columns"
            id="columns"
            note="The roles that hold the privilege. Who sees which rows is above."
            ><${Table} caption="Columns and privileges" head=${["column", "type", "select", "insert", "update"]}>
              ${object.columns.map(
                (column) =>
                  html`<tr>
                    <th scope="row"><a href=${columnLink(object.name, column.name)}>${column.name}</a></th>
                    <td><code>${column.type}</code></td>
                    ${["select", "insert", "update"].map((each) => html`<td>${column[each].length ? [...column[each]].join(", ") : "–"}</td>`)}
                  </tr>`,
              )}<//
            ><//
          >`
        : null
    }
    ${
      object.kind === "table"
        ? html`<${Section}
            title="Policies"
            id="policies"
            note=${policyRule(object)}
          >
            ${object.policies.map((policy) => html`<${Policy} policy=${policy} />`)}
            ${object.policies.length ? null : html`<p class="empty">No policies.</p>`}<//
          >`
        : null
    }
    <${Section} title="Grants" id="grants"
      >${
        Object.entries(object.privileges).some(([, each]) => each.length)
          ? html`<ul>
              ${Object.entries(object.privileges)
                .filter(([, each]) => each.length)
                .map(([role, each]) => html`<li><code>${role}</code> holds ${each.join(", ")}</li>`)}
            </ul>`
          : html`<p class="empty">No role of a persona holds a privilege on the whole ${object.kind}.</p>`
      }<//
    >
    ${
      object.decided_by.length || object.depends_on.length || users.length || object.triggers.length
        ? html`<section class="card">
            <${Depends} object=${object} /> ${
              users.length
                ? html`<h3>Used by</h3>
                    <p>
                      ${users.map((each, index) => html`${index ? ", " : ""}<${ObjectName} name=${each.name} /> (${each.kind})`)}
                    </p>`
                : null
            }
            ${
              object.triggers.length
                ? html`<h3>Triggers</h3>
                    <p>${listed([...object.triggers])}</p>`
                : null
            }
          </section>`
        : null
    }
    ${
      object.definition
        ? html`<${Section} title="Definition" id="definition">
            <pre tabindex="0"><code>${object.definition}</code></pre>
          <//>`
        : null
    }`;
}
