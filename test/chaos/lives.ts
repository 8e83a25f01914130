import assert from 'node:assert/strict'
import { errorText } from '../../src/domain/errors.ts'
import { until } from '../fakes/patience.ts'
import type { CrashPlan } from './crash-points.ts'
import type { Stage } from './stage.ts'

/** Something that is said in a chat and answered, again and again. */
export type Life = {
  /** What the `n`th of it begins with: the host's steps are counted from hearing it. */
  words(n: number): string
  /** Says it; the rest of it, if there is one, follows when the model was asked, or the host is dead. */
  play(stage: Stage, said: { chat: string; n: number }): Rest
}

/** Says what was not said yet; the ids of all that was. */
export type Rest = () => string[]

/** Where a host dies; `late`: the answer is stored, so the model must not be asked again. */
export type Point = { name: string; plan: Omit<CrashPlan, 'from'>; late: boolean }
export type Step = { nth: number; name: string; late: boolean }

const CHATS = ['red', 'blue'] as const
/** This step stores the answer. */
const ANSWERED = /insert into outbox/

/** The steps of a host that lives this life undisturbed, which it is left to do. */
export async function stepsOf(stage: Stage, life: Life): Promise<Step[]> {
  const names = await stage.trace(life.words(0), () => live(stage, life))
  await stage.host.kill()
  const answered = names.findIndex((name) => ANSWERED.test(name))
  assert.ok(answered > 0, `the steps are known: ${names.join('; ')}`)
  return names.map((name, index) => ({ nth: index + 1, name, late: index >= answered }))
}

/**
 * One point for each step: in odd rounds before it, when all is done that leads to it, in even ones right after it, when
 * nothing could follow yet. After the last step there is a point in every round.
 */
export function pointsOf(steps: readonly Step[], round: number): Point[] {
  const when = round % 2 === 1 ? 'before' : 'after'
  const last = when === 'before' ? steps.slice(-1).map((step) => pointAt(step, 'after')) : []
  return [...steps.map((step) => pointAt(step, when)), ...last]
}

function pointAt({ nth, name, late }: Step, when: CrashPlan['when']): Point {
  return { name: `${when} step ${nth} (${name})`, plan: { nth, when }, late: late && !(when === 'before' && ANSWERED.test(name)) }
}

async function live(stage: Stage, life: Life): Promise<void> {
  const rest = life.play(stage, { chat: CHATS[0], n: 0 })
  await until(() => stage.asked > 0 && stage.platform.accepted.length > 0, 'it is answered')
  await stage.settled(...rest())
}

/**
 * A host dies at one point after another, each time in a conversation that has no container yet; the next one takes up
 * what it left, and is itself the one that dies at the next point. `check` looks at what became of each.
 */
export async function dieAtEach({ stage, life, points, check }: Deaths): Promise<void> {
  const chatOf = (n: number) => CHATS[n % CHATS.length] ?? CHATS[0]
  const planOf = (n: number) => {
    const point = points[n - 1]
    return point && { ...point.plan, from: life.words(n) }
  }
  await stage.start(planOf(1))
  for (const [index, point] of points.entries()) {
    const n = index + 1
    try {
      const before = stage.asked
      const rest = life.play(stage, { chat: chatOf(n), n })
      await until(() => stage.host.dead, 'the host dies')
      const ids = rest()
      await stage.start(planOf(n + 1))
      await stage.settled(...ids)
      check({ chat: chatOf(n), n, point, asked: stage.asked - before })
    } catch (error) {
      throw new Error(`When the host died ${point.name}: ${errorText(error)}`, { cause: error })
    }
  }
  await stage.host.stop()
}

type Deaths = { stage: Stage; life: Life; points: readonly Point[]; check(death: Death): void }
export type Death = { chat: string; n: number; point: Point; asked: number }

/** Each answer of the store is at the platform, in order; none twice but those recorded as uncertain. */
export function assertDelivered(stage: Stage, chat: string): void {
  const rows = stage.query(`SELECT key, text, state FROM outbox WHERE jid = 'peer:${chat}' ORDER BY seq`)
  const accepted = stage.platform.accepted.filter(({ jid }) => jid === `peer:${chat}`)
  const arrivals = (wanted: unknown) => accepted.filter(({ key }) => key === wanted).length
  const order = [...new Set(accepted.map(({ key }) => key))]
  assert.deepEqual(
    order,
    rows.map(({ key }) => key),
    'all of them, in order',
  )
  for (const { key, state } of rows) {
    const times = arrivals(key)
    assert.ok(
      state === 'sent' ? times === 1 : state === 'uncertain' && times <= 2,
      `${key} is ${state}, and arrived ${times} times`,
    )
  }
}

/** Every message is in a turn, every turn is done, and each has one answer, or is merged into one that has. */
export function assertAnswered(stage: Stage, chat: string): void {
  const jid = `chat_jid = 'peer:${chat}'`
  assert.deepEqual(stage.query(`SELECT seq FROM messages WHERE ${jid} AND is_bot_message = 0 AND turn_id IS NULL`), [])
  assert.deepEqual(stage.query(`SELECT id, state FROM turns WHERE ${jid} AND state <> 'done'`), [])
  const answers = `(SELECT count(*) FROM messages WHERE turn_id = turns.id AND is_bot_message = 1)`
  const wrong = `SELECT id, merged_into, ${answers} AS answers FROM turns WHERE ${jid} AND answers <> (merged_into IS NULL)`
  assert.deepEqual(stage.query(wrong), [])
}
