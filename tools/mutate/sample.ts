import { Random } from '../../src/cli/bench/random.ts'
import { KINDS, type Kind, lineOf, type Mutant, type Site } from './mutant.ts'

export type Breakable = { file: string; text: string; sites: readonly Site[] }

type Sampling = { files: readonly Breakable[]; count: number; seed: number }

/**
 * A sample of breaks: a file by its lines of code, a kind that it has, and one of its places; never two on one line. The
 * same seed gives the same sample of the same files.
 */
export function sample({ files, count, seed }: Sampling): Mutant[] {
  const random = new Random(seed)
  const stock = files.map((file) => ({ ...file, weight: linesOfCode(file.text), sites: [...file.sites] }))
  const mutants: Mutant[] = []
  const taken = new Set<string>()
  while (mutants.length < count) {
    const file = random.weighted(stock.filter(({ sites }) => sites.length > 0).map((one) => [one.weight, one] as const))
    if (!file) break
    const site = drawn(file.sites, random)
    const to = choice(site, random)
    const line = lineOf(file.text, site.start)
    const place = `${file.file}:${line}`
    if (to === undefined || taken.has(place)) continue
    taken.add(place)
    const from = file.text.slice(site.start, site.end)
    mutants.push({ id: mutants.length + 1, file: file.file, line, kind: site.kind, start: site.start, end: site.end, from, to })
  }
  return mutants
}

/** Takes one site out of the list. */
function drawn(sites: Site[], random: Random): Site {
  const kinds = [...new Set(sites.map(({ kind }) => kind))].sort()
  const kind = random.weighted(kinds.map((one): readonly [number, Kind] => [KINDS[one], one]))
  const site = random.pick(sites.filter((one) => one.kind === kind))
  sites.splice(sites.indexOf(site), 1)
  return site
}

function choice(site: Site, random: Random): string | undefined {
  const replacements = site.replacements()
  return replacements.length > 0 ? random.pick(replacements) : undefined
}

/** Lines that are neither empty nor a comment. */
function linesOfCode(text: string): number {
  return text.split('\n').filter((line) => !/^\s*($|\/\/|\/?\*)/.test(line)).length
}
