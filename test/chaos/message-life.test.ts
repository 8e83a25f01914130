import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeliveryGuarantee } from '../../src/domain/delivery.ts'
import { assertAnswered, assertDelivered, type Death, dieAtEach, type Life, type Point, pointsOf } from './lives.ts'
import { Stage } from './stage.ts'

/** Each point once; a long run asks for more. */
const ROUNDS = Number(process.env.CHAOS_ROUNDS ?? 1)

const number = (n: number) => String(n).padStart(3, '0')

/** One message, one answer. */
const ANSWER: Life = {
  words: (n) => `answer-${number(n)}`,
  play(stage, { chat, n }) {
    const id = stage.says(chat, `!echo answer-${number(n)}`)
    return () => [id]
  },
}

/** A message, and another while a tool works for the first: one answer for both. */
const FOLLOW_UP: Life = {
  words: (n) => `tool-${number(n)}`,
  play(stage, { chat, n }) {
    const ids = [stage.says(chat, `!tool Bash {"command":"sleep 0.7; echo tool-${number(n)}"}`)]
    const more = () => {
      stage.onAsked = () => {}
      ids.push(stage.says(chat, `!echo more-${number(n)}`))
    }
    stage.onAsked = more
    return () => {
      if (ids.length === 1) more()
      return ids
    }
  },
}

type TestContext = { after(fn: () => unknown): void; diagnostic(text: string): void }
type Trial = { life: Life; delivery: DeliveryGuarantee; points: readonly Point[]; check(stage: Stage, death: Death): void }

/** All points, several times over, in two conversations side by side on hosts of their own. */
async function tryAll(t: TestContext, { life, delivery, points, check }: Trial): Promise<void> {
  const all = Array.from({ length: ROUNDS }, () => points).flat()
  const halves = [all.slice(0, Math.ceil(all.length / 2)), all.slice(Math.ceil(all.length / 2))]
  await Promise.all(
    halves.map(async (half) => {
      const stage = await Stage.create(t, { chats: ['red', 'blue'], delivery })
      await dieAtEach({ stage, life, points: half, check: (death) => check(stage, death) })
    }),
  )
  t.diagnostic(`the host was killed ${all.length} times, at ${points.length} points`)
}

async function pointsIn(t: TestContext, life: Life): Promise<Point[]> {
  return pointsOf(await Stage.create(t, { chats: ['red', 'blue'] }), life)
}

test('a message is answered and delivered once, whatever step of its life the host dies at', async (t) => {
  const points = await pointsIn(t, ANSWER)
  await tryAll(t, {
    ...{ life: ANSWER, delivery: 'keyed', points },
    check(stage, { chat, n, point, asked }) {
      assertAnswered(stage, chat)
      assertDelivered(stage, chat)
      assert.equal(stage.heard(chat).length, Math.ceil(n / 2), 'one answer for each message')
      assert.ok(asked <= (point.late ? 1 : 2), `the model was asked ${asked} times`)
      if (point.late) assert.equal(stage.heard(chat).at(-1), ANSWER.words(n))
    },
  })
})

test('a message and its follow-up are answered and delivered once, whatever step of their life the host dies at', async (t) => {
  const points = await pointsIn(t, FOLLOW_UP)
  await tryAll(t, {
    ...{ life: FOLLOW_UP, delivery: 'keyed', points },
    check(stage, { chat, n, point, asked }) {
      assertAnswered(stage, chat)
      assertDelivered(stage, chat)
      const heard = stage.heard(chat).filter((text) => text.includes(number(n)))
      assert.equal(new Set(heard).size, heard.length, `nothing is said twice: ${JSON.stringify(heard)}`)
      assert.ok(asked <= (point.late ? 2 : 4), `the model was asked ${asked} times`)
    },
  })
})

for (const delivery of ['readback', 'uncertain'] as const)
  test(`a delivery is made as often as a channel that is ${delivery} allows, whatever step of it the host dies at`, async (t) => {
    const points = (await pointsIn(t, ANSWER)).filter(({ late }) => late)
    await tryAll(t, {
      ...{ life: ANSWER, delivery, points },
      check(stage, { chat }) {
        assertAnswered(stage, chat)
        assertDelivered(stage, chat)
        const states = stage.query('SELECT DISTINCT state FROM outbox').map(({ state }) => state)
        if (delivery === 'readback') assert.deepEqual(states, ['sent'])
      },
    })
  })
