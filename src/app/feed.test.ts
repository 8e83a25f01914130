import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Feed, type FeedEvent } from './feed.ts'

const activity = (detail: string): FeedEvent => ({ type: 'activity', kind: 'tool', detail })

test('each watcher of a chat hears what happens there until it leaves, and nobody hears of another chat', () => {
  const feed = new Feed(console)
  const heard: string[] = []
  const listen = (name: string, jid: string) =>
    feed.subscribe(jid, (event) => heard.push(`${name} ${event.type === 'activity' ? event.detail : ''}`))
  feed.publish('a', activity('1'))
  const leave = [listen('first', 'a'), listen('second', 'a'), listen('other', 'b')]
  feed.publish('a', activity('2'))
  leave[0]?.()
  feed.publish('a', activity('3'))
  assert.deepEqual(heard, ['first 2', 'second 2', 'second 3'])
  assert.equal(feed.watched, true)
  for (const end of leave) end()
  assert.equal(feed.watched, false)
})

test('a watcher that throws is logged, keeps nobody else from hearing, and does not reach who publishes', () => {
  const logged: string[] = []
  const feed = new Feed({ error: (text) => void logged.push(text) })
  const heard: string[] = []
  feed.subscribe('a', () => {
    throw new Error('broken')
  })
  feed.subscribe('a', ({ type }) => heard.push(type))
  feed.publish('a', activity('1'))
  assert.deepEqual(heard, ['activity'])
  assert.deepEqual(logged, ['A watcher of a could not be told what happened there (activity): broken'])
})

test('who watches gets the events from the call on, in order, until it ends', async () => {
  const feed = new Feed(console)
  const end = new AbortController()
  const events = feed.watch('a', end.signal)
  feed.publish('a', activity('before the first read'))
  const first = await events.next()
  const second = events.next()
  feed.publish('a', activity('while it waits'))
  assert.deepEqual([first.value, (await second).value], [activity('before the first read'), activity('while it waits')])
  const last = events.next()
  end.abort()
  assert.equal((await last).done, true)
  assert.equal(feed.watched, false)
})

test('a watcher that stops reading is gone', async () => {
  const feed = new Feed(console)
  const events = feed.watch('a', new AbortController().signal)
  feed.publish('a', activity('one'))
  for await (const _ of events) break
  assert.equal(feed.watched, false)
})

test('a watcher that takes nothing is told once that it missed something, and hears what comes then', async () => {
  const feed = new Feed(console)
  const end = new AbortController()
  const events = feed.watch('a', end.signal)
  for (let n = 0; n < 2_500; n++) feed.publish('a', activity(String(n)))
  const heard = []
  for (let event = await events.next(); ; event = await events.next()) {
    heard.push(event.value)
    if (heard.length === 500) break
  }
  assert.deepEqual([heard[0], heard[1], heard.at(-1)], [{ type: 'missed' }, activity('2001'), activity('2499')])
  end.abort()
})

test('it is characters that count, too, and one large message is no reason to miss it', async () => {
  const feed = new Feed(console)
  const events = feed.watch('a', new AbortController().signal)
  const large = 'x'.repeat(999_999)
  for (const detail of [large, large, large]) feed.publish('a', activity(detail))
  assert.deepEqual((await events.next()).value, { type: 'missed' })
  for (let n = 0; n < 5; n++) {
    feed.publish('a', activity(large))
    assert.deepEqual((await events.next()).value, activity(large), 'what was taken does not count any more')
  }
  await events.return(undefined)
})
