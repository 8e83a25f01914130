import path from 'node:path'
import { mutate } from './mutate.ts'

export type MutantsOptions = {
  project: string
  /** Relative to the working directory; empty for all production code. */
  files: readonly string[]
  count: number
  /** Which places are broken; without one, they are drawn anew each time. */
  seed: number | undefined
  /** Only lines that differ from this commit; true stands for the last one. */
  since: string | true | undefined
  env: NodeJS.ProcessEnv
  print: (text: string) => void
  say: (line: string) => void
}

/** `./nanoclaw test --mutate`: resolves with whether every break was seen. The first signal ends it with what was judged by then. */
export async function runMutants({ files, seed, since, print, ...options }: MutantsOptions): Promise<boolean> {
  const stop = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(`stopped by ${name}`)))
  const { survived } = await mutate({
    ...options,
    seed: seed ?? Math.floor(Math.random() * 2 ** 31),
    places: files.map((file) => path.resolve(file)),
    changed: since === true ? 'HEAD' : since,
    print: (line) => print(`${line}\n`),
    signal: stop.signal,
  })
  return survived.length === 0
}
