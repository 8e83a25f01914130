import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { ipcFields } from '@nanoclaw/protocol'
import type { Random } from '../../src/cli/bench/random.ts'
import { office } from '../fakes/ipc-office.ts'
import { altered, anything, garbled } from './hostile-json.ts'

const JIDS = ['local:main', 'local:family', 'local:ann', 'tg:1', '']
const FIELDS: Record<string, (random: Random) => unknown> = {
  text: () => 'fuzzed',
  question: () => 'fuzzed?',
  options: () => ['yes', 'no'],
  path: (random) => random.pick(['/workspace/group/a', '/etc/passwd', '../../main/a', '/workspace/ipc/files/..', 'a\0b', '']),
  folder: (random) => random.pick(['main', 'ann', '../x', 'Main', 'new', 'con', '']),
  target: (random) => random.pick(['main', 'ann', 'family', ...JIDS]),
  targetJid: (random) => random.pick(JIDS),
  chatJid: (random) => random.pick(JIDS),
  jid: (random) => random.pick(JIDS),
  taskId: (random) => random.pick(['t1', '', '__proto__']),
  prompt: () => 'fuzzed',
  query: (random) => random.pick(['"', 'a OR b', '*', "'; DROP TABLE messages; --"]),
  scheduleType: (random) => random.pick(['cron', 'interval', 'once']),
  scheduleValue: (random) => random.pick(['* * * * *', '60000', '2030-01-01T00:00:00', '0', '-1', '61 * * * *']),
  limit: (random) => random.below(200),
}

/** The desk of requests, with a real store; whoever asks is of the group `family`, and no request may change what is others'. */
export async function openDesk() {
  const ends: (() => unknown)[] = []
  const { ipcDesk: desk, store, tasks, posted } = office({ after: (end) => ends.unshift(end) }, ['main', 'family', 'ann'])
  const others = () =>
    JSON.stringify([
      store.groups.all(),
      store.groups.chats(),
      ...['main', 'ann'].flatMap((folder) => [
        [...tasks.book.values()].filter((task) => task.folder === folder),
        store.messages.latest(`local:${folder}`, 5),
      ]),
    ])
  const before = others()
  return {
    async round(random: Random) {
      const id = randomUUID()
      const answers: string[] = []
      const run = {
        turn: undefined,
        reply: ({ ok, result }: { ok: boolean; result: unknown }) => answers.push(`${ok} ${JSON.stringify(result)}`) > 0,
        pauseTimer: () => () => {},
      }
      const found = { folder: 'family', id, byHand: false, runs: [run], spend: () => true }
      await desk.take(found, request(random))
      assert.equal(others(), before, 'nothing of others has changed')
      for (const { jid } of posted.splice(0)) assert.equal(jid, 'local:family')
      for (const answer of answers) assert.ok(!answer.includes('"status":"failed"'), answer)
      assert.equal((Object.prototype as { isMain?: unknown }).isMain, undefined)
    },
    async close() {
      for (const end of ends) await end()
    },
  }
}

function request(random: Random): Buffer {
  const type = random.pick(Object.keys(ipcFields) as (keyof typeof ipcFields)[])
  const names = [...Object.keys(ipcFields[type]), ...(random.chance(0.2) ? Object.keys(FIELDS) : [])]
  const fields = names.flatMap((name) => {
    const make = FIELDS[name]
    return make && random.chance(0.9) ? [[random.chance(0.1) ? snakeCase(name) : name, make(random)] as const] : []
  })
  const value = random.chance(0.1) ? anything(random) : { type, ...Object.fromEntries(fields) }
  const odd = typeof value === 'object' && value !== null && random.chance(0.5) ? altered(value, random) : value
  return garbled(Buffer.from(JSON.stringify(odd)), random)
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}
