// The page: its header, the views, the theme, and what happens when the address changes or the page is printed.

const TITLES = {
  map: "Map",
  changes: "Changes",
  persona: "Personas",
  object: "Objects",
  column: "Columns",
  tests: "Tests",
  coverage: "Coverage",
  mutants: "Mutants",
  phases: "Phases",
  findings: "Findings",
  drift: "Drift",
};
// The personas that fit beside the names on A4 in landscape; the others follow in another table.
const PRINTED_AT_ONCE = Math.max(1, Math.floor((1035 - 180) / CELL));

/** A link of the navigation. */
function Tab({ view, current }) {
  const number = attention(view);
  const badge = html`<span class="badge">${number}<span class="hidden"> to look at</span></span>`;
  return html`<a href=${address(view)} aria-current=${current ? "page" : null}>${TITLES[view]}${number ? html` ${badge}` : ""}</a>`;
}

/** What stands behind a name in the navigation: the number of what needs attention. */
function attention(view) {
  if (view === "tests") return report.tests?.failures.length;
  if (view === "changes") return (report.changes?.gained ?? []).length;
  if (view === "coverage") return report.coverage.reduce((sum, each) => sum + each.missing.length, 0);
  if (view === "mutants") return report.mutants?.survivors.length;
  if (view === "drift") return DRIFT.reduce((sum, [key]) => sum + (report.drift?.[key]?.length ?? 0), 0);
  return 0;
}

function Header({ route, theme, setTheme }) {
  const views = VIEWS.filter((view) => view !== "changes" || report.changes);
  return html`<header class="top">
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <div class="brand">
      <p class="project">${report.project}</p>
      <p class="made">
        who can do what, as measured on ${report.server}; default privileges ${report.default_privileges}; rolecall
        ${report.rolecall}, seed ${report.seed}
      </p>
    </div>
    <label class="theme"
      >Theme
      <select value=${theme} onChange=${(event) => setTheme(event.target.value)}>
        <option value="">as the system</option>
        <option value="light">light</option>
        <option value="dark">dark</option>
      </select></label
    >
    <nav aria-label="Views">
      ${views.map((view) => html`<${Tab} view=${view} current=${view === route.view} />`)}
    </nav>
  </header>`;
}

function skip(event) {
  event.preventDefault();
  document.querySelector("#main").focus();
}

/** In a line or two: how large the map is, and whether all is as it should be. */
function Summary() {
  const differing = objects.reduce(
    (sum, object) => sum + object.commands.reduce((part, each) => part + Object.keys(each.expected).length, 0),
    0,
  );
  const cells = objects.reduce((sum, object) => sum + object.commands.length * personas.length, 0);
  const kinds = Object.entries(KINDS)
    .map(([kind, plural]) => [objects.filter((object) => object.kind === kind).length, kind, plural])
    .filter(([number]) => number);
  return html`<p class="lead summary">
    ${count(personas.length, "persona")}, ${listed(kinds.map(([number, kind, plural]) => count(number, kind, plural)))};
    ${count(cells, "attempt")}.
    ${
      differing
        ? html`<a class="bad" href=${address("map", { only: "differs" })}
            >≠ ${count(differing, "verdict differs", "verdicts differ")} from the grids.</a
          >`
        : html`<span class="good">✓ No verdict differs from the grids.</span>`
    }
  </p>`;
}

function MapView({ route, printing }) {
  const key = route.params.toString();
  const beside = route.view === "changes";
  const filters = useMemo(() => {
    const found = readFilters(route.params);
    return beside && !found.only ? { ...found, only: "changed" } : found;
  }, [key, beside]);
  const filterKey = JSON.stringify(filters);
  const result = useMemo(() => filtered(filters), [filterKey]);
  const selected = selectedCell(route.params);
  const open = (object, persona) => go(withParams(route, { object: object.name, persona: personas[persona].name }));
  const close = () => {
    go(withParams(route, { object: "", persona: "" }));
    setTimeout(() => document.querySelector('.map [tabindex="0"]')?.focus(), 0);
  };
  return html`<h1 class="hidden" tabindex="-1">${beside ? "What has changed" : "Who can do what"}</h1>
    <${Summary} /><${Filters} key=${route.view} route=${route} filters=${filters} result=${result} /><${Legend} />
    <div class="beside ${selected || beside ? "open" : ""}">
      ${printing ? html`<${PrintedMap} result=${result} />` : html`<${ScreenMap} result=${result} selected=${selected} open=${open} />`}
      ${selected && html`<${Details} key=${`${selected.object.index}-${selected.persona}`} selected=${selected} close=${close} />`}
      ${beside && !selected && html`<${Changes} />`}
    </div>`;
}

/** The map, or why there is none. */
function ScreenMap({ result, selected, open }) {
  if (result.objects.length && result.personas.length) {
    return html`<${AccessGrid} result=${result} selected=${selected} open=${open} />`;
  }
  return html`<p class="empty card">${objects.length ? "Nothing matches these filters." : "The report has no objects."}</p>`;
}

/** The cell whose details are open, or null. */
function selectedCell(params) {
  const object = objectByName.get(params.get("object"));
  const persona = personaIndex.get(params.get("persona"));
  return object && persona !== undefined ? { object, persona } : null;
}

/** The map for paper: as many tables as are needed for all personas. */
function PrintedMap({ result }) {
  const sheets = [];
  for (let start = 0; start < result.personas.length; start += PRINTED_AT_ONCE)
    sheets.push(result.personas.slice(start, start + PRINTED_AT_ONCE));
  return html`<div class="map-box">
    ${sheets.map((shown, index) => {
      const part = { ...result, personas: shown };
      return html`<${MapTable} result=${part} label=${`Who can do what, sheet ${index + 1}`} />`;
    })}
  </div>`;
}

const PAGES = {
  persona: PersonaView,
  object: ObjectView,
  column: ColumnView,
  tests: TestsView,
  coverage: CoverageView,
  mutants: MutantsView,
  phases: PhasesView,
  findings: FindingsView,
  drift: DriftView,
};

function App({ printing }) {
  const [route, setRoute] = useState(readRoute);
  const [theme, setTheme] = useState(storedTheme);
  const dark = useDark(theme);
  useEffect(() => {
    const changed = () => {
      visited.moved = true;
      setRoute(readRoute());
    };
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  useLayoutEffect(() => {
    document.documentElement.dataset.theme = dark && !printing ? "dark" : "light";
    redraw();
    storeTheme(theme);
  }, [theme, dark, printing]);
  useEffect(() => {
    if (!visited.moved) return;
    scrollTo(0, 0);
    if (!selectedCell(route.params)) document.querySelector("#main h1")?.focus({ preventScroll: true });
  }, [route.view]);
  useEffect(() => {
    if (visited.moved && !document.activeElement.matches("select")) scrollTo(0, 0);
  }, [route.params.get("name")]);
  useEffect(() => {
    document.title = `${TITLES[route.view]} · ${report.project} · who can do what`;
  }, [route.view]);
  const Page = PAGES[route.view];
  // The viewer of mutants has a main part of its own, and a page may have only one.
  const main = route.view === "mutants" && report.mutants ? "div" : "main";
  const name = route.view === "changes" && !report.changes ? "map" : route.view;
  return html`<${Header} route=${{ ...route, view: name }} theme=${theme} setTheme=${setTheme} />
    <${main} id="main" tabindex="-1" class=${`view-${name}`}
      >${Page
        ? html`<${Page} key=${name} route=${route} theme=${dark ? "dark" : "light"} />`
        : html`<${MapView} route=${{ ...route, view: name }} printing=${printing} />`}<//
    >`;
}

function storedTheme() {
  try {
    return localStorage.getItem("rolecall-theme") ?? "";
  } catch {
    return ""; // a browser may refuse it to a file
  }
}

function storeTheme(theme) {
  try {
    localStorage.setItem("rolecall-theme", theme);
  } catch {
    // Then the choice lasts until the page is closed.
  }
}

/** Whether the page is dark: as chosen, or as the system is. */
function useDark(theme) {
  const query = useMemo(() => matchMedia("(prefers-color-scheme: dark)"), []);
  const [system, setSystem] = useState(query.matches);
  useEffect(() => {
    const changed = () => setSystem(query.matches);
    query.addEventListener("change", changed);
    return () => query.removeEventListener("change", changed);
  }, []);
  return theme ? theme === "dark" : system;
}

function draw(printing) {
  render(html`<${App} printing=${printing} />`, document.getElementById("app"));
}

const paper = matchMedia("print");
paper.addEventListener("change", () => draw(paper.matches));
addEventListener("beforeprint", () => draw(true));
addEventListener("afterprint", () => draw(false));
draw(paper.matches);
