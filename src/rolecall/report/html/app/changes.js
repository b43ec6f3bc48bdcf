// The diff view: who gained and who lost access, beside the map.

/** A change as a sentence, with what is needed to see it again. */
function ChangeText({ entry }) {
  return html`<span class="change ${entry.sign}"
      ><b class="sign ${entry.sign}" aria-hidden="true"></b>
      ${entry.sentence}${entry.phase ? html` <span class="note">after phase ${entry.phase}</span>` : ""}</span
    >
    ${
      entry.witness
        ? html`<details class="witness">
            <summary>See it yourself</summary>
            <dl class="facts">
              <dt>signed in</dt>
              <dd>
                role <code>${entry.witness.role}</code>, claims <code>${JSON.stringify(entry.witness.claims)}</code>
              </dd>
              ${
                entry.row &&
                html`<dt>row</dt>
                  <dd>${entry.row}</dd>`
              }
            </dl>
            <pre tabindex="0"><code>${entry.witness.statement}</code></pre>
          </details>`
        : null
    }`;
}

function ChangeGroup({ title, sign, entries, none }) {
  const list = entries.map((entry) => ({ ...entry, sign }));
  return html`<h3>${title} <span class="number">${list.length}</span></h3>
    ${
      list.length
        ? html`<ul class="change-list">
            ${list.map((entry) => html`<li><${ChangeText} entry=${entry} /> ${onMap(entry)}</li>`)}
          </ul>`
        : html`<p class="empty">${none}</p>`
    }`;
}

function onMap(entry) {
  if (!objectByName.has(entry.object) || !personaIndex.has(entry.persona)) return null;
  return html`<a
    class="why"
    href=${address("changes", { object: entry.object, persona: entry.persona })}
    aria-label=${`Details of ${entry.persona} on ${entry.object}`}
    >Details</a
  >`;
}

/** The list of changes. Gains come first: they are what a reviewer must agree to. */
function Changes() {
  const { gained = [], lost = [], not_compared: rest = [] } = report.changes;
  return html`<aside class="panel" aria-labelledby="changes-title">
    <header><h2 id="changes-title">What has changed</h2></header>
    <p class="lead">
      ${gained.length || lost.length ? `${count(gained.length, "gain")} and ${count(lost.length, "loss", "losses")} of access.` : "No access has changed."}
    </p>
    <${ChangeGroup} title="Gained" sign="gained" entries=${gained} none="Nobody gained access." />
    <${ChangeGroup} title="Lost" sign="lost" entries=${lost} none="Nobody lost access." />
    ${
      rest.length
        ? html`<h3>Not compared</h3>
            <ul>
              ${rest.map((each) => html`<li>${typeof each === "string" ? each : (each.sentence ?? JSON.stringify(each))}</li>`)}
            </ul>`
        : null
    }
  </aside>`;
}
