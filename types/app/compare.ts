/** Which errors an application gets from the objects of the migrations, object by object. */

import type { Application, CompileError } from "./application.ts"
import { collide, type Member, members, merge, same } from "./database.ts"

/** How the application's own types have an object of the migrations. */
export type State = "as it is" | "in another shape" | "not at all"

export type Comparison = {
  states: Map<Member, State>
  before: CompileError[]
  after: CompileError[]
  gone: CompileError[]
  /** The new errors by the objects that cause them. One error may have several. */
  byObject: Map<Member, CompileError[]>
  /** New errors that no object causes alone. */
  together: CompileError[]
}

/**
 * Compile an application with its own types, with all objects merged into them, and with each object alone.
 *
 * So the cause of an error is measured, and not guessed from its message.
 */
export function compare(application: Application, ours: Member[]): Comparison {
  const own = application.text
  const states = new Map(ours.map((each) => [each, stateOf(each, members(own))]))
  const before = application.errors(own)
  const after = application.errors(merge(own, ours))
  const without = differ(application.types)
  const added = without(after, before)
  const byObject = new Map<Member, CompileError[]>()
  if (added.length > 0) {
    for (const each of ours.filter((each) => states.get(each) !== "as it is")) {
      const alone = without(application.errors(merge(own, [each])), before)
      const others = new Set(without(added, alone))
      const caused = added.filter((error) => !others.has(error))
      if (caused.length > 0) byObject.set(each, caused)
    }
  }
  const explained = new Set([...byObject.values()].flat())
  const together = added.filter((error) => !explained.has(error))
  return { states, before, after, gone: without(before, after), byObject, together }
}

function stateOf(ours: Member, theirs: Member[]): State {
  const found = theirs.find((each) => collide(each, ours))
  if (!found) return "not at all"
  return found.kind === ours.kind && same(found.text, ours.text) ? "as it is" : "in another shape"
}

/**
 * A function that takes the errors of one list which another list has not. Each error of the other counts once.
 *
 * An error is the same if it has the same place and code: its message may name a type that has changed. In the types
 * file it is the message that counts, because the lines there have moved.
 */
function differ(types: string): (errors: CompileError[], others: CompileError[]) => CompileError[] {
  const key = ({ file, line, column, code, message }: CompileError) =>
    JSON.stringify(file === types ? [file, code, message] : [file, line, column, code])
  return (errors, others) => {
    const left = others.map(key)
    return errors.filter((error) => {
      const at = left.indexOf(key(error))
      if (at >= 0) left.splice(at, 1)
      return at < 0
    })
  }
}
