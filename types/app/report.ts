/** The comparison as text. */

import type { Application, CompileError } from "./application.ts"
import type { Comparison, State } from "./compare.ts"
import type { Kind, Member } from "./database.ts"

const WORDS: Record<Kind, string> = { Tables: "table", Views: "view", Functions: "function" }
const LONGEST = 160

/** The lines of the report. */
export function report(application: Application, found: Comparison): string[] {
  return [
    `${application.config}, TypeScript ${application.version}`,
    `types: ${application.relative(application.types)}`,
    ...application.notes,
    "",
    `Of the ${found.states.size} objects of the migrations, the application's types have`,
    ...(["as it is", "in another shape", "not at all"] as const).map((state) => states(found, state)),
    "",
    `${count(found.before.length)} with the application's own types, ${found.after.length} with the merged ones: ` +
      `${newOnes(found)} new, ${found.gone.length} gone.`,
    ...[...found.byObject].flatMap(([each, errors]) => section(application, heading(each), errors)),
    ...section(application, "several objects together", found.together),
    ...section(application, "gone", found.gone),
  ]
}

/** How many errors the merged types add. */
export function newOnes(found: Comparison): number {
  return new Set([...found.byObject.values(), found.together].flat()).size
}

function states(found: Comparison, state: State): string {
  const names = [...found.states].filter(([, other]) => other === state).map(([each]) => `${each.schema}.${each.name}`)
  return `  ${String(names.length).padStart(3)} ${state}${names.length > 0 ? `: ${names.join(", ")}` : ""}`
}

function heading({ schema, kind, name }: Member): string {
  return `${schema}.${name} (${WORDS[kind]})`
}

function section(application: Application, title: string, errors: CompileError[]): string[] {
  if (errors.length === 0) return []
  return ["", `${title}: ${count(errors.length)}`, ...errors.map((each) => line(application, each))]
}

function line(application: Application, { file, line, column, code, message }: CompileError): string {
  const short = message.length > LONGEST ? `${message.slice(0, LONGEST - 1)}…` : message
  return `  ${application.relative(file)}:${line}:${column} TS${code} ${short}`
}

function count(number: number): string {
  return `${number} ${number === 1 ? "error" : "errors"}`
}
