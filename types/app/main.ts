/**
 * Merges the types of the migrations into an application's own, and prints the new type errors by object:
 * `node types/app/main.ts FOLDER [TYPES]`. It writes nothing. The exit code is 1 if there are new errors, and 2
 * if the application cannot be compiled at all.
 */

import { readFileSync } from "node:fs"
import path from "node:path"
import { Application } from "./application.ts"
import { compare } from "./compare.ts"
import { listed, members, type Objects } from "./database.ts"
import { newOnes, report } from "./report.ts"

function main(place: string | undefined, types: string | undefined): number {
  if (place === undefined) throw new Error("usage: node types/app/main.ts FOLDER [TYPES]")
  const read = (name: string) => readFileSync(path.join(import.meta.dirname, "..", name), "utf8")
  const all = members(read("database.types.ts"))
  const objects = listed(JSON.parse(read("objects.json")) as Objects)
  const ours = all.filter((each) =>
    objects.some(({ schema, kind, name }) => each.schema === schema && each.kind === kind && each.name === name),
  )
  const application = new Application(place, types)
  const found = compare(application, ours)
  console.log(report(application, found).join("\n"))
  return newOnes(found) > 0 ? 1 : 0
}

try {
  process.exitCode = main(process.argv[2], process.argv[3])
} catch (error) {
  console.error(`ERROR: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 2
}
