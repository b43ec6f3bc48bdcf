// Small parts that several views use.

/** The sign of a mark: its letter, or a dot. CSS draws it, so that a reader hears only the words beside it. */
function signOf(slot, level) {
  return level === "none" ? "·" : slot.letter;
}

/** The mark of a level: a letter in a filled, a half filled or no square. */
function Mark({ slot, level }) {
  return html`<span
    class="mark ${level}"
    title="${slot.key}: ${LEVELS[level]}"
    data-sign=${signOf(slot, level)}
    aria-hidden="true"
  ></span>`;
}

/** A verdict: its sign, what it is in a word or two, and as a grid writes it. */
function Verdict({ verdict }) {
  const kind = outcome(verdict);
  return html`<span class="verdict ${kind}"
    ><span aria-hidden="true">${SIGNS[kind]}</span> ${SHORT[kind]} <code>${verdict}</code></span
  >`;
}

/** A line of a file; nothing if it is not known. */
function Place({ place }) {
  if (!place?.file) return null;
  return html`<code class="place">${place.file}${place.line ? `:${place.line}` : ""}</code>`;
}

const PersonaName = ({ name }) => html`<a class="persona-name" href=${personaLink(name)}>${name}</a>`;

/** A table, view or function: a link if the report has it. */
function ObjectName({ name }) {
  return objectByName.has(name)
    ? html`<a href=${objectLink(name)}><code>${broken(name)}</code></a>`
    : html`<code>${broken(name)}</code>`;
}

/** A name that may be broken after a dot, an underscore or a parenthesis. */
function broken(name) {
  return name.split(/(?<=[._(,])/).flatMap((part, index) => (index ? [html`<wbr />`, part] : [part]));
}

/** Names of rows, the first ones in sight. */
function Rows({ names, most = 8 }) {
  if (!names.length) return null;
  const shown = names.slice(0, most);
  const rest = names.slice(most);
  return html`<span class="rows"
    >${shown.map((name, index) => html`${index ? ", " : ""}<span class="row-name">${name}</span>`)}${
      rest.length
        ? html`,
            <details class="inline">
              <summary>${count(rest.length, "more", "more")}</summary>
              ${listed(rest)}
            </details>`
        : ""
    }</span
  >`;
}

/** The rows of an access that reaches only some: ": the one, the other". */
function SomeRows({ entry }) {
  const names = rowNames(entry.rows);
  return entry.level === "some" && names.length ? html`: <${Rows} names=${names} />` : null;
}

/** A section with a heading. */
function Section({ title, id, children, note }) {
  const heading = id === "title" ? "h1" : "h2";
  return html`<section aria-labelledby=${id} class="card">
    <${heading} id=${id} tabindex="-1">${title}<//>${note ? html`<p class="note">${note}</p>` : null}${children}
  </section>`;
}

/** What a report does not have, and how to get it. */
function NotMeasured({ what, command }) {
  return html`<p class="empty">${what} not measured. Run <code>${command}</code>, and make the report again.</p>`;
}

/** A table with a caption for screen readers. It scrolls by itself where it is too wide. */
function Table({ caption, head, children, className = "" }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${caption}>
    <table class="plain ${className}">
      <caption class="hidden">
        ${caption}
      </caption>
      <thead>
        <tr>
          ${head.map((each) => html`<th scope="col">${each}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${children}
      </tbody>
    </table>
  </div>`;
}

/** A part of a total as a bar, with its numbers as text. */
function Bar({ part, total }) {
  return html`<span class="bar ${part < total ? "short" : "full"}" aria-hidden="true"
    ><span style=${{ width: `${total ? (100 * part) / total : 100}%` }}></span
  ></span>`;
}
