// The details of one cell: what was tried, what came out, what decided, and which test says so.

/** The panel beside the map. It gets the focus when it opens; Escape closes it. */
function Details({ selected, close }) {
  const { object, persona } = selected;
  const who = personas[persona];
  const heading = useRef(null);
  useEffect(() => {
    if (visited.moved) heading.current.focus();
  }, [object, persona]);
  const onKeyDown = (event) => {
    if (event.key === "Escape") close();
  };
  return html`<aside class="panel" aria-labelledby="details-title" onKeyDown=${onKeyDown}>
    <header>
      <h2 id="details-title" tabindex="-1" ref=${heading}>
        ${who.name} <span class="on">on</span> <span class="object-name">${broken(object.name)}</span>
      </h2>
      <button type="button" class="close" onClick=${close} aria-label="Close the details">✕</button>
    </header>
    <p class="lead"><b>${who.name}</b> ${sentence(object, persona)}.</p>
    <p class="also">
      <a href=${personaLink(who.name)}>All that ${who.name} can do</a> ·
      <a href=${objectLink(object.name)}>Who can touch ${object.bare}</a>
    </p>
    <${CellChanges} object=${object} persona=${persona} />
    ${access(object, persona).map((entry) => html`<${Tried} key=${entry.slot.key} object=${object} persona=${persona} entry=${entry} />`)}
    ${access(object, persona).length ? null : html`<p class="empty">Nothing was tried here.</p>`}
    <${Decided} object=${object} who=${who} />
    <${Depends} object=${object} />
  </aside>`;
}

function CellChanges({ object, persona }) {
  const found = changesOf(object, persona);
  if (!found.length) return null;
  return html`<h3>What has changed</h3>
    <ul class="change-list">
      ${found.map((entry) => html`<li><${ChangeText} entry=${entry} /></li>`)}
    </ul>`;
}

/** One command of a cell: a row for each example row, with its verdict, statement and test. */
function Tried({ object, persona, entry }) {
  return html`<h3>
      <${Mark} slot=${entry.slot} level=${entry.level} /> ${entry.slot.key}
      <span class="level">${LEVELS[entry.level]}</span>
    </h3>
    <ul class="tried">
      ${entry.commands.map((command) => html`<${Attempt} object=${object} persona=${persona} command=${command} />`)}
    </ul>`;
}

function Attempt({ object, persona, command }) {
  const name = personas[persona].name;
  const verdict = command.verdicts[persona] ?? "";
  const expected = at(command.expected, name);
  const detail = at(command.details, name);
  const title = [slotOf(object.kind, command.command) === "moves" ? command.command : "", command.row]
    .filter(Boolean)
    .join(": ");
  const test = cellTest(object, command, persona);
  return html`<li>
    <details>
      <summary>
        <${Verdict} verdict=${verdict} /> ${title && html`<span class="row-name">${title}</span>`}
        ${expected !== undefined && html` <strong class="wrong">≠ the grid says <code>${expected}</code></strong>`}
      </summary>
      <p>
        ${meaning(object.kind, command.command, verdict)}${detail ? html`<br /><span class="detail">${detail}</span>` : ""}
      </p>
      <h4>Statement</h4>
      <pre tabindex="0"><code>${command.statement}</code></pre>
      ${
        test
          ? html`<h4>Test</h4>
              <p><code class="test-id">${test.id}</code><br /><${Place} place=${test.place} /></p>`
          : html`<p class="note">Measured. No test asserts it.</p>`
      }
    </details>
  </li>`;
}

const namesOf = (columns) => listed(columns.map((column) => column.name));

/** The grants, row-level security, policies and triggers that decided. */
function Decided({ object, who }) {
  const privileges = at(object.privileges, who.role, []);
  const partly = ["select", "insert", "update"]
    .map((each) => [each, object.columns.filter((column) => column[each].includes(who.role))])
    .filter(
      ([each, columns]) =>
        columns.length &&
        columns.length < object.columns.length &&
        !privileges.some((name) => name.toLowerCase() === each),
    );
  const applies = object.policies.filter(
    (policy) => at(policy.admits, who.name) !== undefined || at(policy.admits_new, who.name) !== undefined,
  );
  return html`<h3>What decided</h3>
    <dl class="facts">
      <dt>signed in</dt>
      <dd>
        role
        <code>${who.role}</code
        >${Object.keys(who.claims).length ? html`, claims <code>${JSON.stringify(who.claims)}</code>` : ""}
      </dd>
      <dt>grants</dt>
      <dd>
        <code>${who.role}</code> holds ${privileges.length ? privileges.join(", ") : `no privilege on the whole ${object.kind}`}
        ${partly.map(([each, columns]) => html`<br />${each} on ${namesOf(columns)}, ${columns.length} of ${object.columns.length} columns`)}
      </dd>
      ${
        object.kind === "table" &&
        html`<dt>policies</dt>
          <dd>${policyNote(object, applies)}</dd>`
      }
      ${
        object.triggers.length
          ? html`<dt>triggers</dt>
              <dd>${listed(object.triggers)}</dd>`
          : null
      }
    </dl>
    ${applies.map((policy) => html`<${Policy} policy=${policy} persona=${who.name} />`)}`;
}

function policyNote(object, applies) {
  if (!object.row_security) return "row-level security is off: the grants alone decide";
  if (!applies.length) return "none applies to this role, so row-level security lets nothing through";
  return "one permissive policy must let the row through, and every restrictive one";
}

/** A policy; with a persona, also the rows that it lets through for it. */
function Policy({ policy, persona }) {
  return html`<div class="policy">
    <p class="policy-name">${policy.name}</p>
    <p class="note">
      ${policy.permissive ? "permissive" : "restrictive"}, for ${policy.command.toLowerCase()}, to
      ${listed([...policy.roles])} <${Place} place=${policy.place} />
    </p>
    ${policy.using && html`<p>using <code class="sql">${policy.using}</code></p>`}
    ${policy.check && html`<p>with check <code class="sql">${policy.check}</code></p>`}
    ${
      persona !== undefined &&
      html`<${Admitted} label="lets through" rows=${at(policy.admits, persona)} />
        <${Admitted} label="lets in as new rows" rows=${at(policy.admits_new, persona)} />`
    }
  </div>`;
}

function Admitted({ label, rows }) {
  if (rows === undefined) return null;
  return html`<p class="admits">→ ${label}: ${rows.length ? html`<${Rows} names=${rows} />` : "no row"}</p>`;
}

/** What access depends on: what the grid says, and what the object and its policies use. */
function Depends({ object }) {
  if (!object.decided_by.length && !object.depends_on.length) return null;
  return html`<h3>What access depends on</h3>
    <dl class="facts">
      ${
        object.decided_by.length
          ? html`<dt>decided by</dt>
              <dd>the persona, ${listed(object.decided_by.map((each) => each))}</dd>`
          : null
      }
      ${
        object.depends_on.length
          ? html`<dt>uses</dt>
              <dd>
                ${object.depends_on.map((name, index) => html`${index ? ", " : ""}<${ObjectName} name=${name} />`)}
              </dd>`
          : null
      }
    </dl>`;
}
