import assert from 'node:assert/strict'
import { test } from 'node:test'
import { broken, changeOf, lineOf } from './mutant.ts'
import { sitesOf } from './operators.ts'
import { smallProject } from './small-project.ts'
import { Sources } from './sources.ts'

const CODE = `import { readFileSync } from 'node:fs'
type Size = 1 | 2
export const LIMIT: Size | 3 = 2
export const LARGE = 10_000
export const names = { 7: 'seven' }
const log = console
export function isSmall(n: number): boolean {
  if (n) log.info(n < 3)
  return n < LIMIT && n >= 0
}
export async function read(file: string): Promise<string> {
  try {
    await Promise.resolve()
    return await Promise.resolve(readFileSync(file, 'utf8'))
  } finally {
    isSmall(1)
  }
}
export const greeting = () => 'hello'
export const shout = (text: string) => log.info(text)
export const find = (list: string[]): string | undefined => list.find((one) => one === 'ä')
export function tell(): void {
  isSmall(greeting() === 'hello' ? 5 : 6)
}
export class Box {
  set value(n: number) {
    isSmall(n)
  }
}
`

test('every kind of break is found where it can be made, and nowhere in types, names, imports, logging and large limits', (t) => {
  const sources = new Sources(smallProject(t, { 'src/a.ts': CODE }))
  t.after(() => sources.close())
  const source = sources.get('src/a.ts')
  assert.ok(source)
  const found = sitesOf(source, sources.returnType).map(({ kind, start, end, replacements }) => {
    const from = CODE.slice(start, end)
    return `${lineOf(CODE, start)} ${kind}: ${replacements()
      .map((to) => changeOf({ from, to }))
      .join(', ')}`
  })
  assert.deepEqual(found.sort(), [
    "11 return: { -> { return '';, { -> { return '?';",
    '13 await: await -> void',
    '13 delete call: await Promise.resolve() -> {}',
    '14 await: await -> (nothing)',
    "14 return: await Promise.resolve(readFileSync(file, 'utf8')) -> '', await Promise.resolve(readFileSync(file, 'utf8')) -> '?'",
    '15 finally: { isSmall(1) } -> {}',
    '16 constant: 1 -> 2, 1 -> 0',
    '16 delete call: isSmall(1) -> {}',
    "19 return: 'hello' -> '', 'hello' -> '?'",
    "21 return: list.find((one) => one === 'ä') -> '', list.find((one) => one === 'ä') -> '?', list.find((one) => one === 'ä') -> undefined",
    "21 return: one === 'ä' -> true, one === 'ä' -> false",
    '22 return: { -> { return;',
    '23 constant: 5 -> 6, 5 -> 4',
    '23 constant: 6 -> 7, 6 -> 5',
    "23 delete call: isSmall(greeting() === 'hello' ? 5 : 6) -> {}",
    "23 negate: greeting() === 'hello' -> greeting() !== 'hello'",
    '26 return: { -> { return;',
    '27 delete call: isSmall(n) -> {}',
    '3 constant: 2 -> 3, 2 -> 1',
    '7 return: { -> { return true;, { -> { return false;',
    '8 negate: n -> !n',
    '9 boundary: < -> <=',
    '9 boundary: >= -> >',
    '9 constant: 0 -> 1',
    '9 logic: && -> ||',
    '9 return: n < LIMIT && n >= 0 -> true, n < LIMIT && n >= 0 -> false',
  ])
})

test('what a break leaves can be compiled where the types allow it, and its line is told', (t) => {
  const sources = new Sources(smallProject(t, { 'src/a.ts': CODE }))
  t.after(() => sources.close())
  const source = sources.get('src/a.ts')
  assert.ok(source)
  for (const { start, end, replacements } of sitesOf(source, sources.returnType))
    for (const to of replacements()) {
      const text = broken(CODE, { start, end, to })
      const { errors } = sources.typeErrors({ file: 'src/a.ts', text, importers: [] })
      const syntax = errors.filter((error) => /^TS1\d{3} /.test(error))
      assert.deepEqual(syntax, [], text)
    }
})
