/**
 * Prints the objects of objects.json that usage.ts does not use: it is compiled without them, and each that it uses
 * must be missed there, at its name.
 */

import { readFileSync } from "node:fs"
import path from "node:path"
import { Application } from "./app/application.ts"
import { listed, type Objects, without } from "./app/database.ts"

const read = (name: string) => readFileSync(path.join(import.meta.dirname, name), "utf8")
const objects = listed(JSON.parse(read("objects.json")) as Objects)
const usage = read("usage.ts").split("\n")

const application = new Application(import.meta.dirname)
const missed = application
  .errors(without(application.text, objects))
  .filter((error) => application.relative(error.file) === "usage.ts")
  .map((error) => usage[error.line - 1]?.slice(error.column - 1) ?? "")
for (const { schema, name } of objects) {
  if (!missed.some((text) => text.startsWith(`"${name}"`))) console.log(`${schema}.${name}`)
}
