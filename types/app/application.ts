/** An application that is compiled as its tsconfig.json says, with one file replaced in memory. */

import { existsSync, statSync } from "node:fs"
import { createRequire } from "node:module"
import path from "node:path"
import ours from "typescript"
import { declaresDatabase } from "./database.ts"

type TypeScript = typeof ours

export type CompileError = { file: string; line: number; column: number; code: number; message: string }

export class Application {
  readonly folder: string
  readonly config: string
  readonly notes: string[] = []
  readonly types: string
  readonly #ts: TypeScript
  readonly #parsed: ours.ParsedCommandLine
  readonly #files = new Map<string, ours.SourceFile | undefined>()
  #program: ours.Program

  /**
   * @param place the application's folder, or a tsconfig.json
   * @param types the file that declares `Database`; without it, the only one in the program that does
   * @throws if there is no tsconfig.json, if it has no files, or if the types file cannot be found
   */
  constructor(place: string, types?: string) {
    this.config = configuration(place)
    this.folder = path.dirname(this.config)
    this.#ts = this.#compiler()
    this.#parsed = this.#parse()
    this.#program = this.#compile()
    this.types = types === undefined ? this.#findTypes() : this.#inProgram(path.resolve(this.folder, types))
  }

  get version(): string {
    return this.#ts.version
  }

  /** The text of the types file. */
  get text(): string {
    return this.#program.getSourceFile(this.types)?.text ?? ""
  }

  /** The errors of the whole application, with another text in the types file. */
  errors(text: string): CompileError[] {
    this.#files.set(this.types, this.#ts.createSourceFile(this.types, text, { languageVersion: this.#target() }, true))
    this.#program = this.#compile()
    return this.#ts.getPreEmitDiagnostics(this.#program).map((each) => this.#error(each))
  }

  /** A path as a person reads it: from the application's folder. */
  relative(file: string): string {
    return path.relative(this.folder, file)
  }

  #compiler(): TypeScript {
    const require = createRequire(this.config)
    try {
      const theirs = require("typescript") as TypeScript
      if (typeof theirs.createProgram === "function") return theirs
      this.notes.push(`The application's TypeScript ${theirs.version} cannot be called: ${ours.version} is used.`)
    } catch {
      this.notes.push(`The application has no TypeScript of its own: ${ours.version} is used.`)
    }
    return ours
  }

  #parse(): ours.ParsedCommandLine {
    const ts = this.#ts
    const fail = (found: ours.Diagnostic) => {
      throw new Error(`${this.config}: ${ts.flattenDiagnosticMessageText(found.messageText, "\n")}`)
    }
    // Nothing is written, not even what makes the next build faster.
    const always = { noEmit: true, incremental: false, composite: false, tsBuildInfoFile: undefined }
    const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: fail }
    const parsed = ts.getParsedCommandLineOfConfigFile(this.config, always, host)
    if (!parsed) throw new Error(`${this.config} cannot be read`)
    parsed.errors.forEach(fail)
    if (parsed.fileNames.length === 0) {
      throw new Error(`${this.config} has no files of its own: name the tsconfig.….json that it refers to`)
    }
    return parsed
  }

  #target(): ours.ScriptTarget {
    return this.#parsed.options.target ?? this.#ts.ScriptTarget.Latest
  }

  #compile(): ours.Program {
    const host = this.#ts.createCompilerHost(this.#parsed.options)
    const read = host.getSourceFile
    host.getSourceFile = (name, ...more) => {
      if (!this.#files.has(name)) this.#files.set(name, read.call(host, name, ...more))
      return this.#files.get(name)
    }
    return this.#ts.createProgram({
      rootNames: this.#parsed.fileNames,
      options: this.#parsed.options,
      projectReferences: this.#parsed.projectReferences,
      host,
      oldProgram: this.#program,
    })
  }

  #inProgram(file: string): string {
    if (!this.#program.getSourceFile(file)) throw new Error(`${file} is no file of ${this.config}`)
    return file
  }

  #findTypes(): string {
    const own = this.#program.getSourceFiles().filter((each) => !this.#program.isSourceFileFromExternalLibrary(each))
    const found = own.filter((each) => declaresDatabase(each.text)).map((each) => each.fileName)
    if (found.length === 1) return found[0] as string
    const names = found.map((each) => this.relative(each)).join(", ")
    throw new Error(
      found.length === 0
        ? `no file of ${this.config} declares Database as \`supabase gen types\` writes it`
        : `several files of ${this.config} declare Database (${names}): name one with APP_TYPES`,
    )
  }

  #error(found: ours.Diagnostic): CompileError {
    const message = this.#ts.flattenDiagnosticMessageText(found.messageText, "\n").split("\n")[0] as string
    if (!found.file) return { file: this.config, line: 0, column: 0, code: found.code, message }
    const { line, character } = found.file.getLineAndCharacterOfPosition(found.start ?? 0)
    return { file: found.file.fileName, line: line + 1, column: character + 1, code: found.code, message }
  }
}

function configuration(place: string): string {
  const whole = path.resolve(place)
  if (!existsSync(whole)) throw new Error(`${place} does not exist`)
  const config = statSync(whole).isDirectory() ? path.join(whole, "tsconfig.json") : whole
  if (!existsSync(config)) throw new Error(`${place} has no tsconfig.json`)
  return config
}
