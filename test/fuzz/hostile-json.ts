import type { Random } from '../../src/cli/bench/random.ts'

/** Names that some program somewhere believes in. */
const NAMES = ['type', '__proto__', 'constructor', 'toString', 'isMain', 'groupFolder', 'chatJid', 'targetJid', 'text', 'x', '']
const TEXTS = [
  '',
  'x',
  '../..',
  '/etc/passwd',
  '\0',
  '\u202e',
  '\ud800',
  'a\nb',
  '$(id)',
  'x'.repeat(3_000),
  'main',
  'ann',
  '9e999',
]
const NUMBERS = [0, -1, 1.5, 2 ** 53, 1e308, -0]

/** Any value that JSON can say. */
export function anything(random: Random, depth = 3): unknown {
  const few = <T>(one: () => T) => Array.from({ length: random.below(4) }, one)
  const plain = [null, true, false, random.pick(NUMBERS), random.pick(TEXTS)]
  if (depth === 0 || random.chance(0.4)) return random.pick(plain)
  if (random.chance(0.4)) return few(() => anything(random, depth - 1))
  // `__proto__` becomes a name of its own, as JSON.parse makes it.
  return JSON.parse(
    `{${few(() => `${JSON.stringify(random.pick(NAMES))}:${JSON.stringify(anything(random, depth - 1))}`).join()}}`,
  )
}

/** The value with a field or two changed, taken away or added. */
export function altered(value: object, random: Random): object {
  const fields = Object.entries(value)
  for (let n = random.below(3); n > 0; n--) {
    const at = random.below(fields.length + 1)
    const name = random.chance(0.3) ? random.pick(NAMES) : (fields[at]?.[0] ?? random.pick(NAMES))
    fields.splice(at, random.below(2), [name, anything(random)])
  }
  return JSON.parse(`{${fields.map(([name, one]) => `${JSON.stringify(name)}:${JSON.stringify(one ?? null)}`).join()}}`)
}

/** The bytes with some of them changed, taken away or said twice. */
export function garbled(bytes: Buffer, random: Random): Buffer {
  if (bytes.length === 0 || random.chance(0.6)) return bytes
  const at = random.below(bytes.length)
  return random.pick([
    () => bytes.subarray(0, at),
    () => Buffer.concat([bytes, bytes.subarray(at)]),
    () => Buffer.concat([bytes.subarray(0, at), Buffer.from([random.below(256)]), bytes.subarray(at)]),
    () => Buffer.from(bytes.map((byte, n) => (n === at ? random.below(256) : byte))),
    () => Buffer.concat([Buffer.from('['.repeat(1 + random.below(5_000))), bytes]),
  ])()
}
