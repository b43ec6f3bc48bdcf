// What the last run measured: tests, coverage, mutants, findings.

function TestsView() {
  const tests = report.tests;
  if (!tests)
    return html`<${Section} title="Tests" id="title"
      ><${NotMeasured} what="The tests were" command="pytest --rolecall-report .rolecall/report"
    /><//>`;
  const total = Object.values(tests.outcomes).reduce((sum, each) => sum + each, 0);
  return html`<${Section} title="Tests" id="title"
    ><p class="lead">
      ${count(total, "test")} in ${duration(tests.seconds)}:
      ${listed(
        Object.entries(tests.outcomes)
          .filter(([, number]) => number)
          .map(([outcome, number]) => `${number.toLocaleString("en")} ${outcome}`),
      )}.
    </p>
    ${
      tests.failures.length
        ? html`<h2>Failures</h2>
            ${tests.failures.map((failure) => html`<${TestFailure} failure=${failure} />`)}`
        : html`<p class="good">✓ No test failed.</p>`
    }<//
  >`;
}

function TestFailure({ failure }) {
  const cell = objectByName.has(failure.object) && personaIndex.has(failure.persona);
  return html`<details class="failure">
    <summary>
      ${failure.kind && html`<strong class="tag">${failure.kind}</strong>`} <code class="test-id">${failure.test}</code>
    </summary>
    <dl class="facts">
      <dt>reason</dt>
      <dd><${Place} place=${failure.place} /></dd>
      <dt>test</dt>
      <dd><${Place} place=${failure.test_place} /></dd>
      ${
        failure.expected &&
        html`<dt>expected</dt>
          <dd><code>${failure.expected}</code>, got <code>${failure.got}</code></dd>`
      }
    </dl>
    ${cell && html`<p><a href=${cellLink(failure.object, failure.persona)}>The cell on the map</a></p>`}
    <pre tabindex="0"><code>${failure.text}</code></pre>
  </details>`;
}

function CoverageView() {
  const missing = report.coverage.filter((each) => each.missing.length);
  return html`<${Section} title="Coverage" id="title"
    >${
      report.coverage.length
        ? html` <${Table} caption="What the tests cover" head=${["what", "covered", "share"]}
              >${report.coverage.map(
                (each) =>
                  html`<tr>
                    <th scope="row">${each.what}</th>
                    <td class="number">
                      ${(each.total - each.missing.length).toLocaleString("en")} of ${each.total.toLocaleString("en")}
                    </td>
                    <td><${Bar} part=${each.total - each.missing.length} total=${each.total} /></td>
                  </tr>`,
              )}<//
            >
            ${
              missing.length
                ? missing.map(
                    (each) =>
                      html`<h2>Not covered: ${each.what}</h2>
                        <ul>
                          ${each.missing.map((name) => html`<li><code>${name}</code></li>`)}
                        </ul>`,
                  )
                : html`<p class="good">✓ All is covered.</p>`
            }`
        : html`<${NotMeasured} what="Coverage was" command="pytest --rolecall-coverage --rolecall-report .rolecall/report" />`
    }<//
  >`;
}

/** The score in per cent, as rolecall counts it: the killed of those that were killed, pinned or survived. */
function mutationScore(score) {
  const total = ["killed", "pinned", "survived"].reduce((sum, key) => sum + at(score.outcomes, key, 0), 0);
  return total ? (100 * at(score.outcomes, "killed", 0)) / total : null;
}

function percent(value) {
  return value === null ? "no score" : `${value === 100 ? 100 : Math.min(value, 99.9).toFixed(1)} %`;
}

function MutantsView({ theme }) {
  const mutants = report.mutants;
  if (!mutants)
    return html`<${Section} title="Mutants" id="title"
      ><${NotMeasured} what="Mutants were" command="pytest --rolecall-mutants --rolecall-report .rolecall/report"
    /><//>`;
  const score = mutationScore(mutants.score);
  return html`<${Section} title="Mutants" id="title"
      ><p class="lead">
        Score ${percent(score)}.
        ${listed(
          Object.entries(mutants.score.outcomes)
            .filter(([, number]) => number)
            .map(([outcome, number]) => `${number} ${outcome}`),
        )},
        in ${duration(mutants.score.seconds)}.
      </p>
      ${
        mutants.survivors.length
          ? html`<h2>Survivors</h2>
              ${mutants.survivors.map((each) => html`<${SurvivorItem} survivor=${each} />`)}`
          : html`<p class="good">✓ No mutant survived.</p>`
      }<//
    >
    <section class="wide" aria-label="Mutants in the SQL">
      <${MutantsApp} theme=${theme} report=${mutants.stryker} />
    </section>`;
}

function SurvivorItem({ survivor }) {
  return html`<details class="failure">
    <summary>
      <code>${survivor.id}</code> ${survivor.description}${survivor.pin ? " (only a pin notices it)" : ""}
    </summary>
    <dl class="facts">
      <dt>stands for</dt>
      <dd>${survivor.stands_for}</dd>
      <dt>what catches it</dt>
      <dd>${survivor.catches}</dd>
      ${
        survivor.pin &&
        html`<dt>pin</dt>
          <dd><code>${survivor.pin}</code></dd>`
      }
      <dt>before</dt>
      <dd><code class="sql">${survivor.before}</code></dd>
      <dt>after</dt>
      <dd><code class="sql">${survivor.after}</code></dd>
    </dl>
  </details>`;
}

/** The viewer of mutation-testing-elements. It reads the address itself. */
function MutantsApp({ theme, report: stryker }) {
  const box = useRef(null);
  useLayoutEffect(() => {
    const app = document.createElement("mutation-test-report-app");
    app.setAttribute("title-postfix", report.project);
    app.report = stryker;
    box.current.append(app);
    return () => app.remove();
  }, []);
  useLayoutEffect(() => {
    box.current.firstChild.theme = theme;
  }, [theme]);
  return html`<div ref=${box}></div>`;
}

function FindingsView() {
  return html`<${Section}
    title="Findings"
    id="title"
    note="Each is a known mistake that a file puts back. The tests below it must notice it."
    >${
      report.findings.length
        ? html`<ul class="findings">
            ${report.findings.map(
              (each) =>
                html`<li>
                  <details>
                    <summary>
                      <b>${each.name}</b> ${each.title}
                      ${each.caught_by.length
                        ? html`<span class="note">noticed by ${count(each.caught_by.length, "test")}</span>`
                        : html`<strong class="wrong">no test notices it</strong>`}
                    </summary>
                    <p><${Place} place=${each.place} /></p>
                    <ul>
                      ${each.caught_by.map((test) => html`<li><code class="test-id">${test}</code></li>`)}
                    </ul>
                  </details>
                </li>`,
            )}
          </ul>`
        : html`<p class="empty">
            This project has no defects. The setting <code>rolecall_defects</code> names their folder.
          </p>`
    }<//
  >`;
}
