import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { type Channel, NotSent } from '../../src/channels/contract.ts'
import type { DeliveryGuarantee } from '../../src/domain/delivery.ts'
import { AppError } from '../../src/domain/errors.ts'
import { patience, until } from '../fakes/patience.ts'
import type { TestContext } from '../fakes/rooms.ts'
import { type Ports, Room, type Setting } from './channel-room.ts'

/** What befalls the next send: refused for good, refused for now, or accepted with nobody saying so. */
export type Mishap = 'refused' | 'busy' | 'answer-lost'

/** The other end of a channel: the platform, and the people there. */
export type Platform = {
  /** What people see in the chat of what the channel sent, oldest first. */
  shown(): string[]
  /** Somebody writes in the chat; returns the platform's id of it. */
  says(text: string): Promise<string> | string
  /** The platform delivers a message again. */
  redelivers(id: string): Promise<void> | void
  /** Its writer changes it; takes it back. */
  edits(id: string, text: string): Promise<void> | void
  deletes(id: string): Promise<void> | void
  /** The platform was told that this arrived: it will not deliver it again. */
  isConfirmed(id: string): boolean
  befall(mishap: Mishap): void
  /** Connections break and cannot be made; can be made again. */
  down(): void
  up(): void
  /** How often the channel tried to connect or to ask, so far. */
  attempts(): number
  /** Open connections. */
  connections(): number
}

export type Subject<S extends Setting> = {
  name: string
  delivery: DeliveryGuarantee
  open(t: TestContext, ports: Ports): Promise<S> | S
}

/** What every channel promises, also one whose other end is our own store. */
export function channelSuite({ name, delivery, open }: Subject<Setting>): void {
  const enter = (t: TestContext) => Room.open(t, { open, random: () => 1 })

  test(`${name}: it serves its own chats and nobody else's`, async (t) => {
    const { channel, jid } = await enter(t)
    assert.deepEqual([channel.owns(jid), channel.owns('nobody:1'), channel.owns('')], [true, false, false])
    assert.equal(channel.capabilities.delivery, delivery)
  })

  test(`${name}: it starts, is online, and leaves nothing behind when it is stopped`, async (t) => {
    const room = await enter(t)
    await room.online()
    await room.stop()
    assert.deepEqual([room.clock.waiting, getEventListeners(room.signal, 'abort').length], [0, 0])
  })

  if (delivery === 'keyed')
    test(`${name}: the same key is the same message`, async (t) => {
      const room = await enter(t)
      await room.online()
      assert.deepEqual(await room.send('once', 'key'), await room.send('once', 'key'))
    })
}

/** What a channel promises whose other end is a platform that comes and goes, and delivers what it likes as often as it likes. */
export function platformSuite({ name, delivery, open }: Subject<Setting & { platform: Platform }>): void {
  const enter = async (t: TestContext, random = () => 1) => {
    const room = await Room.open(t, { open, random })
    return { room, platform: room.setting.platform, notebook: room.notebook }
  }

  test(`${name}: what people write arrives in its order, and nothing of it again after a restart`, async (t) => {
    const { room, platform, notebook } = await enter(t)
    const numbers = Array.from({ length: 22 }, (_, n) => String(n))
    await platform.says('0')
    await room.online()
    for (const number of numbers.slice(1, 20)) await platform.says(number)
    await until(() => notebook.texts.length === 20, 'all arrive')
    const last = await platform.says('20')
    await until(() => platform.isConfirmed(last), 'all are confirmed')
    const before = notebook.offered
    await room.restart()
    await platform.says('21')
    await until(() => notebook.texts.includes('21'), 'more arrives')
    assert.deepEqual([notebook.texts, notebook.offered], [numbers, before + 1])
  })

  test(`${name}: the platform is told only when a message is stored`, async (t) => {
    const { room, platform, notebook } = await enter(t)
    await room.online()
    const store = notebook.hold()
    const id = await platform.says('hold on')
    await until(() => notebook.offered > 0, 'it is handed over')
    assert.equal(platform.isConfirmed(id), false)
    store()
    await until(() => platform.isConfirmed(id), 'it is confirmed')
  })

  test(`${name}: what cannot be stored is handed over again, before what came after it`, async (t) => {
    const { room, platform, notebook } = await enter(t)
    await room.online()
    notebook.full = true
    await platform.says('a')
    await platform.says('b')
    await until(() => notebook.offered > 0, 'it is tried')
    notebook.full = false
    await room.pass(() => notebook.texts.length === 2, 'both are stored')
    assert.deepEqual(notebook.texts, ['a', 'b'])
  })

  test(`${name}: what is delivered twice is known by its id, and so is what is changed or taken back`, async (t) => {
    const { room, platform } = await enter(t)
    await room.online({ real: true })
    const id = await platform.says('first')
    await until(() => room.stored().length === 1, 'it is stored')
    await platform.redelivers(id)
    await platform.edits(id, 'second')
    await until(() => room.stored()[0] === 'second', 'it is changed')
    await platform.deletes(id)
    await until(() => room.stored().length === 0, 'it is gone')
    await platform.redelivers(id)
    await platform.says('other')
    await until(() => room.stored().length > 0, 'more arrives')
    assert.deepEqual(room.stored(), ['other'])
  })

  test(`${name}: what is sent arrives in its order, and a long text in parts that fit`, async (t) => {
    const { room, platform } = await enter(t)
    await room.online({ real: true })
    const { maxText } = room.channel.capabilities
    const long = 'A sentence of some words. '.repeat(Math.ceil((2.5 * maxText) / 26)).trim()
    for (const text of ['1', '2', long, '3']) room.post(text)
    await room.delivered()
    const shown = platform.shown()
    assert.deepEqual([shown.slice(0, 2), shown.at(-1)], [['1', '2'], '3'])
    assert.ok(shown.every((text) => text.length <= maxText))
    assert.equal(shown.slice(2, -1).join(' '), long)
  })

  test(`${name}: a send whose answer is lost ends as its capability says`, async (t) => {
    const { room, platform } = await enter(t)
    await room.online({ real: true })
    platform.befall('answer-lost')
    room.post('once')
    await room.delivered()
    const uncertain = delivery === 'uncertain' ? 1 : 0
    assert.deepEqual(platform.shown(), ['once', 'once'].slice(0, 1 + uncertain))
    assert.deepEqual(room.store.outbox.counts(), { pending: 0, failed: 0, uncertain })
  })

  if (delivery === 'readback')
    test(`${name}: a look back finds what was sent, and nothing else`, async (t) => {
      const { room, platform } = await enter(t)
      await room.online()
      const sent = await room.send('there')
      const find = (key: string) =>
        room.channel.findSent?.(room.jid, { idempotencyKey: key, text: key }, AbortSignal.timeout(patience(60_000)))
      assert.deepEqual([await find('there'), await find('never'), platform.shown()], [sent, undefined, ['there']])
    })

  test(`${name}: what is refused for good is told from what may be tried again`, async (t) => {
    const { room, platform } = await enter(t)
    await room.online()
    const faultAfter = (mishap: Mishap) => {
      platform.befall(mishap)
      return room.send(mishap).then(() => 'sent', faultOf)
    }
    assert.deepEqual([await faultAfter('refused'), await faultAfter('busy')], ['user', 'platform'])
    assert.deepEqual(platform.shown(), [])
  })

  test(`${name}: when the platform goes and comes, the channel says so, and what waited is sent`, async (t) => {
    const { room, platform, notebook } = await enter(t)
    await room.online({ real: true })
    platform.down()
    await until(() => room.channel.state.state !== 'online', 'it is noticed')
    await assert.rejects(room.send('not sent, for certain'), NotSent)
    room.post('waited')
    const changes = notebook.changes
    platform.up()
    await room.pass(() => room.channel.state.state === 'online', 'it is online again')
    assert.ok(notebook.changes > changes, 'it is told')
    await room.delivered()
    assert.deepEqual(platform.shown(), ['waited'])
  })

  test(`${name}: a platform that is down is asked less and less often, at moments left to chance`, async (t) => {
    const [soonest, latest] = [await waitsWhileDown(t, () => 0), await waitsWhileDown(t, () => 0.999)]
    for (const waits of [soonest, latest]) {
      const least = Math.min(...waits)
      assert.ok(least >= 1_000, `never more than once a second: ${waits}`)
      assert.ok((waits.at(-1) ?? 0) > (waits[0] ?? 0), `it backs off: ${waits}`)
    }
    assert.notDeepEqual(soonest, latest)
  })

  async function waitsWhileDown(t: TestContext, random: () => number): Promise<number[]> {
    const { room, platform } = await enter(t, random)
    const { clock, channel } = room
    await room.online()
    platform.down()
    const waits: number[] = []
    for (let at = 0; waits.length < 8; ) {
      await until(() => retryTime(channel) > at, 'it waits')
      at = retryTime(channel)
      waits.push(at - clock.now())
      const attempts = platform.attempts()
      clock.advance(at - clock.now() - 1)
      // An attempt would be heard of by then.
      for (let round = 0; round < 50; round++) await new Promise(setImmediate)
      assert.equal(platform.attempts(), attempts, 'it waits as long as it says')
      clock.advance(1)
      await until(() => platform.attempts() > attempts, 'it tries again')
    }
    return waits
  }

  for (const moment of ['it waits for its platform', 'a message is being stored'])
    test(`${name}: stopped while ${moment}, it leaves nothing behind`, async (t) => {
      const { room, platform, notebook } = await enter(t)
      await room.online()
      const store = notebook.hold()
      if (moment === 'a message is being stored') {
        await platform.says('hold on')
        await until(() => notebook.offered > 0, 'it is handed over')
      } else {
        platform.down()
        await until(() => room.channel.state.state === 'retrying', 'it waits')
      }
      const stopped = room.stop()
      store()
      await stopped
      await until(() => platform.connections() === 0, 'every connection is closed')
      assert.deepEqual([room.clock.waiting, getEventListeners(room.signal, 'abort').length], [0, 0])
    })
}

function retryTime({ state }: Channel): number {
  return state.state === 'retrying' ? state.at : 0
}

function faultOf(error: unknown): string {
  return error instanceof AppError ? error.fault : `no AppError: ${error}`
}
