import path from 'node:path'
import type { Judged, Verdict } from './judge.ts'
import { changeOf, KINDS } from './mutant.ts'

/** One mutant in one line. */
export function outcomeLine(mutant: Judged): string {
  const leftovers = mutant.leftovers.length > 0 ? ' (tsc would complain of what is left unused)' : ''
  return `${mutant.id}  ${mutant.file}:${mutant.line}  ${mutant.kind}: ${changeOf(mutant)}  ${inWords(mutant.verdict)}${leftovers}`
}

function inWords(verdict: Verdict): string {
  switch (verdict.by) {
    case 'types':
      return `seen by the types: ${verdict.error}`
    case 'test':
      return `seen by ${verdict.file}: ${verdict.name}`
    case 'container':
      return `seen with containers by ${verdict.file}: ${verdict.name}`
    case 'hang':
      return `seen by ${verdict.file}, which hangs`
    case 'equivalent':
      return `accepted: ${verdict.reason}`
    case 'nobody':
      return `SURVIVED (test files tried: ${verdict.tried}, perhaps of use but not tried: ${verdict.untried})`
  }
}

type Totals = {
  mutants: number
  types: number
  test: number
  container: number
  hang: number
  nobody: number
  equivalent: number
}

type Summary = { mutants: readonly Judged[]; leftOut: readonly string[]; unjudged: number }

/** What became of them all. */
export function summary({ mutants, leftOut, unjudged }: Summary): string[] {
  const survived = mutants.filter(({ verdict }) => verdict.by === 'nobody').toSorted((a, b) => a.id - b.id)
  const kinds = Object.keys(KINDS)
  return [
    '',
    ...table(
      'kind',
      groups(mutants, ({ kind }) => kind).toSorted((a, b) => kinds.indexOf(a[0]) - kinds.indexOf(b[0])),
    ),
    '',
    ...table(
      'folder',
      groups(mutants, ({ file }) => path.posix.dirname(file)).toSorted((a, b) => a[0].localeCompare(b[0])),
    ),
    ...(survived.length > 0 ? ['', 'Survivors:'] : []),
    ...survived.flatMap((one) => [
      `  ${one.id}  ${one.file}:${one.line}`,
      `    - ${one.before.trim()}`,
      `    + ${one.after.trim()}`,
    ]),
    ...(leftOut.length > 0 ? ['', `Left out, as they fail on unbroken code: ${leftOut.join(', ')}`] : []),
    ...(unjudged > 0 ? ['', `The run was stopped: ${unjudged} mutants are not judged.`] : []),
    '',
    shares(totalsOf(mutants)),
  ]
}

function shares({ mutants, types, test, container, hang, nobody, equivalent }: Totals): string {
  const byTests = test + container + hang
  return [
    `${mutants} mutants, ${equivalent} of them accepted as they are`,
    `types and tests see ${share(types + byTests, types + byTests + nobody)}`,
    `tests see ${share(byTests, byTests + nobody)} of those without a type error`,
    `${nobody} survived`,
  ].join('; ')
}

function share(part: number, of: number): string {
  return of === 0 ? 'none of 0' : `${Math.round((100 * part) / of)} % (${part} of ${of})`
}

function groups(mutants: readonly Judged[], nameOf: (mutant: Judged) => string): [string, Totals][] {
  return [...Map.groupBy(mutants, nameOf)].map(([name, some]) => [name, totalsOf(some)])
}

function totalsOf(mutants: readonly Judged[]): Totals {
  const totals: Totals = { mutants: mutants.length, types: 0, test: 0, container: 0, hang: 0, nobody: 0, equivalent: 0 }
  for (const { verdict } of mutants) totals[verdict.by]++
  return totals
}

function table(title: string, rows: readonly [string, Totals][]): string[] {
  const columns = ['mutants', 'types', 'tests', 'containers', 'hangs', 'survived', 'accepted']
  const width = Math.max(title.length, ...rows.map(([name]) => name.length))
  const line = (name: string, cells: readonly (string | number)[]) =>
    [name.padEnd(width), ...cells.map((cell, n) => String(cell).padStart(columns[n]?.length ?? 0))].join('  ')
  const cells = (one: Totals) => [one.mutants, one.types, one.test, one.container, one.hang, one.nobody, one.equivalent]
  return [line(title, columns), ...rows.map(([name, totals]) => line(name, cells(totals)))]
}
