import path from 'node:path'
import type { SourceFile } from 'typescript/unstable/ast'
import { API, type Diagnostic, type Program, type Snapshot } from 'typescript/unstable/sync'
import type { ReturnType } from './operators.ts'

/** Names that a break leaves unused, and an empty statement: the compiler would complain, but not about what is wrong. */
const ABOUT_LEFTOVERS = [1313, 6133, 6138, 6192, 6196, 6198, 6199]

export type TypeErrors = { errors: string[]; leftovers: string[] }

/**
 * A project as TypeScript sees it. A changed file is judged in memory, together with the files that import it. It uses the
 * compiler's own interface, which is still called unstable: the tests here tell when a new version changed it.
 */
export class Sources {
  readonly #project: string
  readonly #changed = new Map<string, string>()
  readonly #api: API
  /** What it says of a file while nothing is changed. */
  readonly #before = new Map<string, string[]>()
  #snapshot: Snapshot

  constructor(project: string) {
    this.#project = project
    this.#api = new API({ cwd: project, fs: { readFile: (file) => this.#changed.get(file) } })
    this.#snapshot = this.#api.updateSnapshot({ openProjects: [path.join(project, 'tsconfig.json')] })
  }

  get(file: string): SourceFile | undefined {
    return this.#program.getSourceFile(this.#absolute(file))
  }

  returnType: ReturnType = (declaration) => {
    const { checker } = this.#opened
    const signature = checker.getSignatureFromDeclaration(declaration)
    const type = signature && checker.getReturnTypeOfSignature(signature)
    return type && checker.typeToString(type)
  }

  /** What TypeScript says when the file has this text, and did not say before. */
  typeErrors({ file, text, importers }: { file: string; text: string; importers: readonly string[] }): TypeErrors {
    const place = this.#absolute(file)
    const places = [place, ...importers.map(this.#absolute)]
    for (const one of places) if (!this.#before.has(one)) this.#before.set(one, this.#diagnostics(one).map(this.#inWords))
    const before = new Set(places.flatMap((one) => this.#before.get(one) ?? []))
    this.#changed.set(place, text)
    this.#refresh(place)
    try {
      const found = places.flatMap(this.#diagnostics).filter((one) => !before.has(this.#inWords(one)))
      const isLeftover = ({ code }: Diagnostic) => ABOUT_LEFTOVERS.includes(code)
      return {
        errors: found.filter((error) => !isLeftover(error)).map(this.#inWords),
        leftovers: found.filter(isLeftover).map(this.#inWords),
      }
    } finally {
      this.#changed.delete(place)
      this.#refresh(place)
    }
  }

  close(): void {
    this.#api.close()
  }

  get #opened() {
    const [opened] = this.#snapshot.getProjects()
    if (!opened) throw new Error(`TypeScript opened no project in ${this.#project}`)
    return opened
  }

  get #program(): Program {
    return this.#opened.program
  }

  #diagnostics = (place: string): Diagnostic[] => {
    const program = this.#program
    return [...program.getSyntacticDiagnostics(place), ...program.getSemanticDiagnostics(place)]
  }

  #refresh(changed: string): void {
    this.#snapshot.dispose()
    this.#snapshot = this.#api.updateSnapshot({ fileChanges: { changed: [changed] } })
  }

  #absolute = (file: string): string => path.join(this.#project, file)

  #inWords = ({ code, text, fileName }: Diagnostic): string =>
    `TS${code} ${text}${fileName ? ` (${path.relative(this.#project, fileName)})` : ''}`
}
