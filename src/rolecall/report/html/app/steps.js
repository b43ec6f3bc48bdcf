// The phases of the migrations, and the drift of a database from them.

function PhasesView() {
  if (!report.phases.length)
    return html`<${Section} title="Phases" id="title"
      ><${NotMeasured} what="The phases were" command="rolecall report"
    /><//>`;
  return html`<h1 class="hidden" tabindex="-1">Phases</h1>
    ${report.phases.map((phase) => html`<${Phase} phase=${phase} />`)}`;
}

function Phase({ phase }) {
  const total = phase.steps.reduce((sum, step) => sum + step.seconds, 0);
  return html`<${Section}
    title=${`Phase ${phase.number}${phase.title ? `: ${phase.title}` : ""}`}
    id=${`phase-${phase.number}`}
  >
    <p class="lead">
      ${count(phase.steps.length, "step")} in ${duration(total)}.
      ${phase.made.length ? `Made: ${count(phase.made.length, "object")}.` : "No object was made."}
      ${phase.verified ? "✓ verify.sql passed." : ""}
    </p>
    ${rollbackText(phase)}${phase.problem ? html`<pre class="bad" tabindex="0">${phase.problem}</pre>` : null}
    <${Table} caption=${`Steps of phase ${phase.number}`} head=${["script", "time", "locks held at its end", "meanwhile"]}
      >${[...phase.steps, ...(phase.rollback ? [phase.rollback] : [])].map(
        (step) =>
          html`<tr>
            <th scope="row"><code>${broken(step.file)}</code>${step === phase.rollback ? " (rollback)" : ""}</th>
            <td class="number">${duration(step.seconds)}</td>
            <td>
              ${
                Object.keys(step.locks).length
                  ? html`<details>
                      <summary>${locks(step)}</summary>
                      <ul>
                        ${Object.entries(step.locks).map(([table, mode]) => html`<li><code>${table}</code>: ${mode}</li>`)}
                      </ul>
                    </details>`
                  : "none"
              }
            </td>
            <td>${meanwhile(step)}</td>
          </tr>`,
      )}<//
    >
    ${
      phase.made.length
        ? html`<details>
            <summary>What it made</summary>
            <ul class="columns">
              ${phase.made.map((name) => html`<li><code>${broken(name)}</code></li>`)}
            </ul>
          </details>`
        : null
    }<//
  >`;
}

function rollbackText(phase) {
  if (!phase.rollback) return html`<p>It has no rollback.</p>`;
  if (!phase.left.length)
    return html`<p class="good">✓ The rollback took all of it away, in ${duration(phase.rollback.seconds)}.</p>`;
  return html`<p class="bad">
    ⚠ The rollback left ${count(phase.left.length, "object")}: ${listed([...phase.left])}.
  </p>`;
}

/** "2 tables, AccessExclusiveLock": the modes, and how many tables. */
function locks(step) {
  return `${count(Object.keys(step.locks).length, "table")}: ${listed([...new Set(Object.values(step.locks))])}`;
}

// What waits for a lock until the script has committed. PostgreSQL's documentation, "Explicit Locking".
const READS_WAIT = ["ACCESS EXCLUSIVE"];
const WRITES_WAIT = ["SHARE", "SHARE ROW EXCLUSIVE", "EXCLUSIVE"];

/** "Writes of 4 tables wait": what the locks do to the traffic. */
function meanwhile(step) {
  const modes = Object.values(step.locks);
  const both = modes.filter((mode) => READS_WAIT.includes(mode)).length;
  const writes = modes.filter((mode) => WRITES_WAIT.includes(mode)).length;
  const parts = [
    both ? `reads and writes of ${count(both, "table")} wait` : "",
    writes ? `writes of ${count(writes, "table")} wait` : "",
  ].filter(Boolean);
  return parts.length ? parts.join("; ") : "nothing waits";
}

const RANKS = { exposes: "exposes", missing: "is missing", differs: "differs", warning: "warning" };
const DRIFT = [
  ["drift", "What differs in the phases that are applied"],
  ["missing", "What the steps need and do not find"],
  ["in_the_way", "What is in the way of later steps"],
];

function appliedText({ applied, phases }) {
  if (!applied) return "The database has no phase yet.";
  return `The database has the phases up to ${applied}${phases?.length ? ` of ${phases.length}` : ""}.`;
}

function DriftView() {
  const drift = report.drift;
  if (!drift)
    return html`<${Section} title="Drift" id="title"
      ><${NotMeasured} what="No database was compared: drift was" command="rolecall check --format json > .rolecall/report/drift.json"
    /><//>`;
  const total = DRIFT.reduce((sum, [key]) => sum + (drift[key]?.length ?? 0), 0);
  return html`<${Section} title="Drift" id="title"
    ><p class="lead">
      ${appliedText(drift)}
      ${total ? `${count(total, "difference")}.` : "No difference."}${drift.owner ? ` The objects belong to ${drift.owner}.` : ""}
    </p>
    ${DRIFT.map(([key, title]) =>
      drift[key]?.length
        ? html`<h2>${title}</h2>
            <${Table} caption=${title} head=${["rank", "what", "expected", "found", "step"]}
              >${drift[key].map((each) => html`<${DriftRow} difference=${each} />`)}<//
            >`
        : null,
    )}
    ${total ? null : html`<p class="good">✓ It is what the migrations make.</p>`}
    ${
      drift.ours?.length
        ? html`<details>
            <summary>${count(drift.ours.length, "object")} of later steps, there as they make them</summary>
            <ul>
              ${drift.ours.map((each) => html`<li><code>${each}</code></li>`)}
            </ul>
          </details>`
        : null
    }
    ${
      drift.unseen?.length
        ? html`<h2>Not compared</h2>
            <ul>
              ${drift.unseen.map((each) => html`<li>${each}</li>`)}
            </ul>`
        : null
    }<//
  >`;
}

function DriftRow({ difference }) {
  const what = [difference.object, difference.part].filter(Boolean).join(" ");
  const value = (each) => (each === null || each === undefined ? "–" : html`<code class="sql">${each}</code>`);
  return html`<tr>
    <td><strong class="tag ${difference.rank}">${RANKS[difference.rank] ?? difference.rank}</strong></td>
    <th scope="row">${difference.kind} <code>${what}</code>${difference.property ? `: ${difference.property}` : ""}</th>
    <td>${value(difference.expected)}</td>
    <td>${value(difference.found)}</td>
    <td>${difference.step ? html`<code>${broken(difference.step)}</code>` : "–"}</td>
  </tr>`;
}
