import path from 'node:path'

const NAMED_FILE = /(['"`])([^'"`\n]+\.(?:ts|mts|mjs|js))\1|'(@nanoclaw\/protocol)'/g
const PROTOCOL = 'protocol/index.ts'

/**
 * Which files a file names: what it imports, and what it starts as a program by a path from its own folder or from the
 * project's. That is a little more than it loads; what really runs is measured.
 */
export class ImportGraph {
  readonly #named = new Map<string, Set<string>>()
  readonly #reached = new Map<string, Set<string>>()

  constructor(files: readonly { file: string; text: string }[]) {
    const known = new Set(files.map(({ file }) => file))
    for (const { file, text } of files) {
      const named = [...text.matchAll(NAMED_FILE)].flatMap(([, , name]) =>
        name === undefined ? [PROTOCOL] : [path.posix.join(path.posix.dirname(file), name), path.posix.normalize(name)],
      )
      this.#named.set(file, new Set(named.filter((name) => known.has(name))))
    }
  }

  names(file: string, other: string): boolean {
    return this.#named.get(file)?.has(other) ?? false
  }

  importersOf(file: string): string[] {
    return [...this.#named.keys()].filter((other) => this.names(other, file))
  }

  /** The file and everything that it leads to. */
  reachedFrom(file: string): ReadonlySet<string> {
    const known = this.#reached.get(file)
    if (known) return known
    const reached = new Set([file])
    for (const one of reached) for (const next of this.#named.get(one) ?? []) reached.add(next)
    this.#reached.set(file, reached)
    return reached
  }
}
