// The marks of a cell, as one picture behind it. A large map has few different pictures and thousands of cells: elements
// for each mark would take the browser a second to draw.

const WIDTH = 17;
const HEIGHT = 17;
const LEVEL_SIGNS = { all: "+", some: "~", held: "?", none: "-" };
const LEVEL_OF = Object.fromEntries(Object.entries(LEVEL_SIGNS).map(([level, sign]) => [sign, level]));
const pictures = new CSSStyleSheet();
const drawn = new Set();
document.adoptedStyleSheets.push(pictures);

/** The slots that a row of the map has: a function has one of its own. */
function slotsOf(object) {
  return slots.filter((slot) => (slot.key === "call") === (object.kind === "function"));
}

/** The code of a cell's marks, such as "S+I~U-": letters of SLOTS and the signs of levels. A blank stands for no mark. */
function code(object, persona) {
  const found = access(object, persona);
  const parts = slotsOf(object).map((slot) => {
    const entry = found.find((each) => each.slot === slot);
    return entry ? slot.letter + LEVEL_SIGNS[entry.level] : "  ";
  });
  const text = parts.join("").trimEnd();
  if (!drawn.has(text)) {
    drawn.add(text);
    pictures.insertRule(rule(text));
  }
  return text;
}

/** Draw the pictures again, in the colours that the page has now. */
function redraw() {
  pictures.replaceSync([...drawn].map(rule).join("\n"));
}

function rule(text) {
  return `.map [data-marks="${text}"] { background-image: url("data:image/svg+xml,${encodeURIComponent(picture(text))}"); }`;
}

function picture(text) {
  const colours = getComputedStyle(document.documentElement);
  const colour = (name) => colours.getPropertyValue(`--${name}`).trim();
  const marks = [];
  for (let index = 0; index < text.length; index += 2) {
    const [letter, sign] = text.slice(index, index + 2);
    if (sign !== " ")
      marks.push(`<g transform="translate(${(index / 2) * WIDTH + 1})">${square(LEVEL_OF[sign], letter, colour)}</g>`);
  }
  const font = 'font-family="ui-monospace, DejaVu Sans Mono, monospace" font-size="11" text-anchor="middle"';
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${(text.length / 2) * WIDTH}" height="${HEIGHT}" ${font}>${marks.join("")}</svg>`;
}

/** One mark: a filled, a half filled or an empty square with the letter, or a dot. */
function square(level, letter, colour) {
  const write = (fill, weight = 700) =>
    `<text x="7.5" y="12.5" font-weight="${weight}" fill="${fill}">${letter}</text>`;
  const box = (fill, line) =>
    `<rect x=".75" y=".75" width="13.5" height="15.5" rx="2.5" fill="${fill}" stroke="${line}" stroke-width="1.5"/>`;
  switch (level) {
    case "all":
      return box(colour("all"), colour("all")) + write(colour("on-all"));
    case "some":
      return `${box(colour("some"), colour("some-line"))}<path d="M1.5 8.5h12v6a1 1 0 0 1-1 1h-10a1 1 0 0 1-1-1z" fill="${colour("some-half")}"/>${write(colour("on-some"))}`;
    case "held":
      return box("none", colour("muted")) + write(colour("text"), 400);
    default:
      return `<circle cx="7.5" cy="8.5" r="1.3" fill="${colour("muted")}"/>`;
  }
}
