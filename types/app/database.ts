/** Reads a types file as `supabase gen types` writes it, and merges objects of another one into it. */

import ts from "typescript"

export const KINDS = ["Tables", "Views", "Functions"] as const
export type Kind = (typeof KINDS)[number]

/** One table, view or function. */
export type Name = { schema: string; kind: Kind; name: string }

/** The same with its text in a types file. */
export type Member = Name & { text: string }

/** The names of objects, by schema and kind, as objects.json has them. */
export type Objects = Record<string, Partial<Record<Kind, string[]>>>

/** The parts of a types file: the braces of `Database`, its schemas, the braces of each kind, and what is in them. */
type Layout = {
  database: ts.NodeArray<ts.TypeElement>
  schemas: string[]
  kinds: { schema: string; kind: Kind; node: ts.TypeNode }[]
  members: Member[]
}

/** The names in `objects` as members, without their text. */
export function listed(objects: Objects): Name[] {
  return Object.entries(objects).flatMap(([schema, kinds]) =>
    KINDS.flatMap((kind) => (kinds[kind] ?? []).map((name) => ({ schema, kind, name }))),
  )
}

/** Whether a file declares the type `Database` with all its schemas. */
export function declaresDatabase(text: string): boolean {
  return text.includes("Database") && layout(text) !== undefined
}

/** The tables, views and functions of a types file. Throws if it does not declare `Database`. */
export function members(text: string): Member[] {
  return layoutOf(text).members
}

/**
 * A types file in which `ours` replace what has their name in the same schema; what it lacks is added.
 * Throws if a schema of the file has no place for one of them.
 */
export function merge(text: string, ours: Member[]): string {
  const { database, kinds, members: theirs, schemas } = layoutOf(text)
  const edits: Edit[] = []
  for (const { schema, kind, node } of kinds) {
    const isHere = (each: Name) => each.schema === schema && each.kind === kind
    const left = theirs.filter((each) => isHere(each) && !ours.some((other) => collide(each, other)))
    edits.push({ start: node.getStart(), end: node.end, text: braces([...left, ...ours.filter(isHere)]) })
  }
  for (const schema of new Set(ours.map((each) => each.schema)).difference(new Set(schemas))) {
    const objects = ours.filter((each) => each.schema === schema)
    edits.push({ start: database.end, end: database.end, text: `\n${JSON.stringify(schema)}: ${schemaOf(objects)}\n` })
  }
  const merged = apply(text, edits)
  const found = members(merged)
  for (const each of ours) {
    if (!found.some((other) => collide(each, other) && each.kind === other.kind)) {
      throw new Error(`schema ${each.schema} of the types file has no ${each.kind}`)
    }
  }
  return merged
}

/** A types file without some of its objects. */
export function without(text: string, objects: Name[]): string {
  const { kinds, members } = layoutOf(text)
  const edits = kinds.map(({ schema, kind, node }) => {
    const here = members.filter((each) => each.schema === schema && each.kind === kind)
    const left = here.filter((each) => !objects.some((other) => collide(each, other)))
    return { start: node.getStart(), end: node.end, text: braces(left) }
  })
  return apply(text, edits)
}

/** Whether two texts of an object say the same: the generators differ in quotes and separators. */
export function same(one: string, other: string): boolean {
  return bare(one) === bare(other)
}

function bare(text: string): string {
  return text.replace(/[\s;,"']/g, "")
}

/** Whether two objects cannot stand side by side: PostgreSQL has tables and views in one name space. */
export function collide(one: Name, other: Name): boolean {
  const space = (kind: Kind) => (kind === "Functions" ? "functions" : "relations")
  return one.schema === other.schema && one.name === other.name && space(one.kind) === space(other.kind)
}

/** The text of a schema that has nothing but some objects. */
function schemaOf(objects: Member[]): string {
  const kinds = KINDS.map((kind) => `${kind}: ${braces(objects.filter((each) => each.kind === kind))}`)
  const empty = ["Enums", "CompositeTypes"].map((kind) => `${kind}: ${braces([])}`)
  return `{\n${[...kinds, ...empty].join("\n")}\n}`
}

/** The text of a kind with some members, as the generator writes it. */
function braces(inside: Member[]): string {
  return inside.length > 0 ? `{\n${inside.map((each) => each.text).join("\n")}\n}` : "{ [_ in never]: never }"
}

type Edit = { start: number; end: number; text: string }

function apply(text: string, edits: Edit[]): string {
  const ordered = edits.toSorted((one, other) => other.start - one.start)
  return ordered.reduce((left, { start, end, text: right }) => left.slice(0, start) + right + left.slice(end), text)
}

function layoutOf(text: string): Layout {
  const found = layout(text)
  if (!found) throw new Error("the types file does not declare Database as `supabase gen types` writes it")
  return found
}

function layout(text: string): Layout | undefined {
  const file = ts.createSourceFile("database.types.ts", text, ts.ScriptTarget.Latest, true)
  const database = file.statements.map(elementsOfDatabase).find((found) => found !== undefined)
  if (!database) return undefined
  const kinds = properties(database).flatMap(({ name: schema, type }) =>
    insideOf(type)
      .filter(({ name }) => (KINDS as readonly string[]).includes(name))
      .map(({ name, type }) => ({ schema, kind: name as Kind, node: type })),
  )
  const members = kinds.flatMap(({ schema, kind, node }) =>
    insideOf(node).map(({ name, text }) => ({ schema, kind, name, text })),
  )
  // __InternalSupabase has no kinds: it is no schema.
  const schemas = [...new Set(kinds.map(({ schema }) => schema))]
  return schemas.length > 0 ? { database, schemas, kinds, members } : undefined
}

/** The braces of `type Database = { … }` or `interface Database { … }`. */
function elementsOfDatabase(statement: ts.Statement): ts.NodeArray<ts.TypeElement> | undefined {
  if (ts.isInterfaceDeclaration(statement) && statement.name.text === "Database") return statement.members
  if (!ts.isTypeAliasDeclaration(statement) || statement.name.text !== "Database") return undefined
  return ts.isTypeLiteralNode(statement.type) ? statement.type.members : undefined
}

type Property = { name: string; type: ts.TypeNode; text: string }

/** The properties between a type's braces; none in `{ [_ in never]: never }`, which the generator writes for none. */
function insideOf(type: ts.TypeNode): Property[] {
  return ts.isTypeLiteralNode(type) ? properties(type.members) : []
}

function properties(elements: ts.NodeArray<ts.TypeElement>): Property[] {
  return elements.flatMap((element) => {
    if (!ts.isPropertySignature(element) || !element.type) return []
    const { name, type } = element
    return ts.isIdentifier(name) || ts.isStringLiteral(name) ? [{ name: name.text, type, text: element.getText() }] : []
  })
}
