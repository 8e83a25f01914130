import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { DeliveryGuarantee } from '../../src/domain/delivery.ts'
import { assertAnswered, assertDelivered, type Death, dieAtEach, type Life, pointsOf, type Step, stepsOf } from './lives.ts'
import { ROUNDS } from './rounds.ts'
import { Stage } from './stage.ts'

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

type Trial = {
  life: Life
  delivery: DeliveryGuarantee
  steps?: (step: Step) => boolean
  check(stage: Stage, death: Death): void
}

/** The host dies at each step, in each round, in two conversations side by side on hosts of their own. */
async function tryAll(t: TestContext, { life, delivery, steps: chosen = () => true, check }: Trial): Promise<void> {
  const create = () => Stage.create(t, { chats: ['red', 'blue'], delivery })
  const [left, right] = await Promise.all([create(), create()])
  const steps = (await stepsOf(left, life)).filter(chosen)
  const points = ROUNDS.flatMap((round) => pointsOf(steps, round))
  const half = Math.ceil(points.length / 2)
  await Promise.all([
    dieAtEach({ stage: left, life, points: points.slice(0, half), check: (death) => check(left, death) }),
    dieAtEach({ stage: right, life, points: points.slice(half), check: (death) => check(right, death) }),
  ])
  t.diagnostic(`the host was killed ${points.length} times, at ${steps.length} steps`)
}

test('a message is answered and delivered once, whatever step of its life the host dies at', async (t) => {
  await tryAll(t, {
    ...{ life: ANSWER, delivery: 'keyed' },
    check(stage, { chat, n, point, asked }) {
      assertAnswered(stage, chat)
      assertDelivered(stage, chat)
      assert.equal(
        stage.heard(chat).filter((text) => text !== ANSWER.words(0)).length,
        Math.ceil(n / 2),
        'one answer for each message',
      )
      assert.ok(asked <= (point.late ? 1 : 2), `the model was asked ${asked} times`)
      if (point.late) assert.equal(stage.heard(chat).at(-1), ANSWER.words(n))
    },
  })
})

test('a message and its follow-up are answered and delivered once, whatever step of their life the host dies at', async (t) => {
  await tryAll(t, {
    ...{ life: FOLLOW_UP, delivery: 'keyed' },
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
    await tryAll(t, {
      ...{ life: ANSWER, delivery, steps: ({ late }) => late },
      check(stage, { chat }) {
        assertAnswered(stage, chat)
        assertDelivered(stage, chat)
        const states = stage.query('SELECT DISTINCT state FROM outbox').map(({ state }) => state)
        if (delivery === 'readback') assert.deepEqual(states, ['sent'])
      },
    })
  })
