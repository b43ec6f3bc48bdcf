/**
 * Prints the types of a database's schemas: `node types/generate.ts SCHEMA…`.
 *
 * The connection is described by PGHOST, PGPORT, PGUSER, PGPASSWORD and PGDATABASE. The catalog is only read.
 */

import { generateTypescript, sortGeneratorMetadata } from "@supabase/postgrest-typegen/generation"
import { introspect } from "@supabase/postgrest-typegen/introspection"
import pg from "pg"

const schemas = process.argv.slice(2)
if (schemas.length === 0) throw new Error("usage: node types/generate.ts SCHEMA…")

const database = new pg.Client({ application_name: "types/generate.ts" })
await database.connect()
try {
  // introspect() starts all its queries at once. One connection runs them in turn.
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = {
    query: (sql: string) => {
      const answer = last.then(() => database.query(sql))
      last = answer.catch(() => undefined)
      return answer
    },
  }
  const metadata = await introspect(inTurn, { includedSchemas: schemas })
  // `supabase gen types` uses the same options.
  process.stdout.write(await generateTypescript(sortGeneratorMetadata(metadata), { detectOneToOneRelationships: true }))
} finally {
  await database.end()
}
