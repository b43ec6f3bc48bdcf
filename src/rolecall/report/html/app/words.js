// The words of the page: what a verdict, a command and a kind of object are called.

/** The columns of marks in a cell of the map, in their order. `moves` has every command that has no column of its own. */
const SLOTS = [
  { key: "select", letter: "S", verb: "read", title: "select: read the row" },
  { key: "insert", letter: "I", verb: "add", title: "insert: add such a row" },
  { key: "update", letter: "U", verb: "change", title: "update: change the row" },
  { key: "delete", letter: "D", verb: "delete", title: "delete: delete the row" },
  { key: "moves", letter: "M", verb: "move", title: "moves: other changes that were tried, such as giving a row away" },
  { key: "call", letter: "C", verb: "call", title: "call the function" },
];
const SLOT = new Map(SLOTS.map((slot) => [slot.key, slot]));
// What an access may be. `held`: nothing was tried with a row, as no grid says how; the privilege is there.
const LEVELS = { all: "all rows", some: "some rows", held: "privilege only", none: "none" };
const KINDS = { table: "tables", view: "views", function: "functions" };

/** The slot of a command of an object. */
function slotOf(kind, command) {
  if (kind === "function") return "call";
  const known = privilegeOnly(command) ? command.toLowerCase() : command;
  return SLOT.has(known) && known !== "call" ? known : "moves";
}

/** Whether a command stands for a privilege, and was not tried with a row: the report has it in capitals. */
function privilegeOnly(command) {
  return ["INSERT", "UPDATE", "DELETE"].includes(command);
}

/** What a verdict means: yes, partly, nothing, refused, error, or untried. */
function outcome(verdict) {
  if (!verdict) return "untried";
  const parts = verdict.split("/");
  if (parts.every((part) => part === "yes")) return "yes";
  if (parts.includes("yes")) return "partly";
  if (parts.every((part) => part === "-")) return "nothing";
  if (parts.every((part) => part === "!" || part === "-")) return "refused";
  return "error";
}

/** Whether a verdict lets the persona through, in at least one way. */
function allowed(verdict) {
  return verdict.split("/").includes("yes");
}

const SIGNS = { yes: "✓", partly: "◐", nothing: "○", refused: "✕", error: "⚠", untried: "?" };
const SHORT = {
  yes: "yes",
  partly: "in some ways",
  nothing: "sees nothing",
  refused: "refused",
  error: "error",
  untried: "not tried",
};

/** What a verdict of a command means, as a sentence. */
function meaning(kind, command, verdict) {
  if (privilegeOnly(command) && allowed(verdict))
    return "The role holds the privilege. No row was tried, because no grid says how.";
  switch (outcome(verdict)) {
    case "yes":
      return kind === "function" ? "The role may call the function." : "It works.";
    case "nothing":
      return "No error, and nothing happens: this persona does not see the row.";
    case "refused":
      return verdict === "!"
        ? "Refused with SQLSTATE 42501."
        : "Refused, in one way or in all; nothing is let through.";
    case "partly":
      return partly(slotOf(kind, command), verdict);
    case "untried":
      return "It was not tried: the row could not be loaded.";
    default:
      return verdict === "error" ? "It ends with an error." : `It ends with the error ${verdict}.`;
  }
}

function partly(slot, verdict) {
  const [first, second, third] = verdict.split("/");
  if (slot === "select") return "Only through the columns that are granted one by one.";
  if (third !== undefined && first === "yes" && second === "yes") {
    return slot === "insert"
      ? "It works. Only an upsert is refused."
      : "It works. A client that asks for the row is refused.";
  }
  if (slot === "insert" && first === "yes")
    return "A plain insert works. A client that asks for the new row is refused.";
  if (first === "!") return "Only through the columns that are granted one by one.";
  if (first === "-") return "With a WHERE nothing happens. Without one, the write reaches the row.";
  return `The ways to do it differ: ${verdict}.`;
}

/** "1 row", "2 rows". */
function count(number, noun, more = `${noun}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? noun : more}`;
}

/** "a, b and c". */
function listed(names, last = "and") {
  return names.length < 2 ? names.join("") : `${names.slice(0, -1).join(", ")} ${last} ${names[names.length - 1]}`;
}

/** Seconds for people: "0.4 s", "3 min 20 s". */
function duration(seconds) {
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(seconds < 0.1 ? 3 : 1) : Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
