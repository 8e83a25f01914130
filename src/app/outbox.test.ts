import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hasTheChance } from '../../test/fakes/chance.ts'
import { ManualClock } from '../../test/fakes/clock.ts'
import { until } from '../../test/fakes/patience.ts'
import { registerChat, storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { type Channel, type ChannelState, NotSent } from '../channels/contract.ts'
import { AppError } from '../domain/errors.ts'
import { Courier } from './outbox.ts'

type Send = Channel['send']

/** The real courier and store with one channel for `tg:` chats, whose sends the test plays. */
function postOffice(t: TestContext, send: Send, parts: Partial<Omit<Channel, 'state'>> = {}) {
  const { store } = storeWith(t, ['main'])
  registerChat(store, { jid: 'tg:main', folder: 'main' })
  const clock = new ManualClock()
  const channel = {
    name: 'fake',
    capabilities: { delivery: 'keyed', maxText: 4_096 } as Channel['capabilities'],
    state: { state: 'online' } as ChannelState,
    start: async () => {},
    send,
    owns: (jid: string) => jid.startsWith('tg:'),
    ...parts,
  }
  const log = { warn() {}, error() {} }
  const forgotten: string[] = []
  const other: Channel = {
    ...channel,
    name: 'other',
    send: async () => ({ platformId: null }),
    owns: (jid) => jid.startsWith('ot:'),
  }
  const courier = new Courier({
    store,
    clock,
    log,
    random: () => 0,
    forget: ({ name }) => void forgotten.push(name),
    channelOf: (jid) => [channel, other].find((one) => one.owns(jid)),
  })
  const post = (jid: string, text: string) => store.outbox.add({ jid, text, key: text, turnId: null, at: clock.now() })
  const states = () => store.outbox.counts()
  const notices = (jid: string) => store.messages.latest(jid, 9).map(({ text }) => text)
  return { store, clock, courier, post, channel, states, notices, forgotten }
}

test('each chat gets its texts in order, with the key of each, and a slow chat holds no other up', async (t) => {
  const sent: string[] = []
  const slow = Promise.withResolvers<void>()
  const { store, courier, post } = postOffice(t, async (jid, { text }, { idempotencyKey }) => {
    if (text === 'a1') await slow.promise
    sent.push(`${jid} ${text} ${idempotencyKey}`)
    return { platformId: null }
  })
  for (const [jid, text] of [
    ['tg:a', 'a1'],
    ['tg:a', 'a2'],
    ['tg:b', 'b1'],
  ] as const)
    post(jid, text)
  courier.deliver()
  await until(() => sent.length === 1, 'one is sent')
  await hasTheChance()
  assert.deepEqual(sent, ['tg:b b1 b1'])
  slow.resolve()
  await until(() => sent.length === 3, 'all are sent')
  assert.deepEqual(sent.slice(1), ['tg:a a1 a1', 'tg:a a2 a2'])
  await until(() => store.outbox.counts().pending === 0, 'nothing waits any more')
})

test('a failed send is tried again later and later, with the same key, and the chat waits in order', async (t) => {
  const tries: string[] = []
  let broken = true
  const { clock, courier, post, store } = postOffice(t, async (_jid, { text }) => {
    tries.push(text)
    if (broken) throw new Error('the platform is down')
    return { platformId: 'p' }
  })
  post('tg:a', 'a1')
  post('tg:a', 'a2')
  courier.deliver()
  await until(() => tries.length === 1, 'it is tried')
  await until(() => store.outbox.nextDueAfter(clock.now()) === clock.now() + 1_000, 'it is due again in a second')
  clock.advance(999)
  await hasTheChance()
  assert.deepEqual(tries, ['a1'])
  clock.advance(1)
  await until(() => tries.length === 2, 'it is tried again')
  await until(() => store.outbox.nextDueAfter(clock.now()) === clock.now() + 2_000, 'it is due again in two seconds')
  broken = false
  clock.advance(2_000)
  await until(() => tries.length === 4, 'all are sent')
  assert.deepEqual(tries, ['a1', 'a1', 'a1', 'a2'])
})

test('what the platform refuses for good is closed, and its chat is told why, once', async (t) => {
  const sent: string[] = []
  const { courier, post, states, notices, store } = postOffice(
    t,
    async (_jid, { text }) => {
      if (text.startsWith('part')) throw new AppError({ code: 'x', fault: 'user', message: 'No such words here.' })
      sent.push(text)
      return { platformId: null }
    },
    { capabilities: { delivery: 'keyed', maxText: 60 } },
  )
  post('tg:a', ['part one '.repeat(5), 'part two '.repeat(5)].map((part) => part.trim()).join('\n\n'))
  post('tg:a', 'after')
  courier.deliver()
  await until(() => states().pending === 0, 'nothing waits any more')
  assert.equal(states().failed, 2)
  const told = 'A message of mine could not be delivered here: No such words here.'
  assert.deepEqual([notices('tg:a'), sent.slice(0, 1), sent.slice(1).join(' ')], [[told], ['after'], told])
  assert.deepEqual(store.messages.unanswered('tg:a', 0), [], 'no agent reads it')
})

test('a chat that refuses everything is not told again and again', async (t) => {
  let sends = 0
  const { courier, post, states } = postOffice(t, async () => {
    sends++
    throw new AppError({ code: 'x.blocked', fault: 'user', message: 'The bot was removed from this chat.' })
  })
  post('tg:a', 'a1')
  courier.deliver()
  await until(() => states().failed === 2, 'both have failed')
  await hasTheChance()
  assert.deepEqual([sends, states().pending], [2, 0])
})

test('what no channel serves is closed, and told in main', async (t) => {
  const sent: string[] = []
  const { courier, post, states } = postOffice(t, async (jid, { text }) => {
    sent.push(`${jid} ${text}`)
    return { platformId: null }
  })
  post('wa:b', 'b1')
  courier.deliver()
  await until(() => states().failed === 1 && states().pending === 0, 'it has failed, and main is told')
  assert.deepEqual(sent, ['tg:main A message of mine could not be delivered in wa:b: no channel serves wa:b'])
})

test('people are told where something may not have arrived, and not where it may be there twice', async (t) => {
  const { store, courier, post, clock, states, notices } = postOffice(
    t,
    async (jid, { text }) => {
      if (jid === 'tg:lost' && text === 'lost') throw new Error('the answer was lost')
      return { platformId: null }
    },
    { capabilities: { delivery: 'uncertain', maxText: 4_096 } },
  )
  post('tg:twice', 'twice')
  store.outbox.markSending(1)
  courier.recover()
  post('tg:lost', 'lost')
  courier.deliver()
  await until(() => {
    clock.advance(1_000)
    return states().pending === 0
  }, 'nothing waits any more')
  assert.equal(states().uncertain, 2)
  assert.deepEqual(notices('tg:twice'), [])
  assert.match(notices('tg:lost').join(), /^A message of mine may not have arrived here, or may have arrived twice\./)
})

test('a store that cannot be read ends nothing: it is read again later and later', async (t) => {
  const { courier, post, store, clock, states } = postOffice(t, async () => ({ platformId: 'p' }))
  const broken = t.mock.method(store.outbox, 'due', () => {
    throw new Error('SQLITE_IOERR')
  })
  post('tg:a', 'a')
  courier.deliver()
  const reads = [broken.mock.callCount()]
  for (const wait of [1_000, 1_000, 1_000, 4_000]) {
    clock.advance(wait)
    reads.push(broken.mock.callCount())
  }
  assert.deepEqual(reads, [1, 2, 2, 3, 4])
  broken.mock.restore()
  clock.advance(8_000)
  await until(() => states().pending === 0, 'nothing waits any more')
})

test('a row whose handling breaks is tried again later, and does not spin', async (t) => {
  const { courier, post, clock, channel, states } = postOffice(t, async () => ({ platformId: 'p' }))
  let reads = 0
  const { capabilities } = channel
  Object.defineProperty(channel, 'capabilities', {
    configurable: true,
    get() {
      if (++reads < 3) throw new Error('a bug')
      return capabilities
    },
  })
  post('tg:a', 'a')
  courier.deliver()
  await hasTheChance()
  assert.equal(reads, 1)
  await until(() => {
    clock.advance(1_000)
    return states().pending === 0
  }, 'nothing waits any more')
})

test('a stop aborts what is under way and keeps it for the next start; nothing is begun after it', async (t) => {
  const begun: string[] = []
  const { courier, post, store, clock } = postOffice(t, (_jid, { text }, { signal }) => {
    begun.push(text)
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))))
  })
  post('tg:a', 'a1')
  courier.deliver()
  await until(() => begun.length === 1, 'it is under way')
  await courier.stop()
  assert.deepEqual(store.outbox.counts(), { pending: 1, failed: 0, uncertain: 0 })
  post('tg:b', 'b1')
  courier.deliver()
  clock.advance(600_000)
  await hasTheChance()
  assert.deepEqual([begun, clock.waiting], [['a1'], 0])
})

test('what was not begun when the host stopped is not sent', async (t) => {
  let sends = 0
  const { courier, post, states } = postOffice(t, async () => ({ platformId: String(++sends) }))
  post('tg:a', 'a1')
  courier.deliver()
  await courier.stop()
  await hasTheChance()
  assert.deepEqual([sends, states()], [0, { pending: 1, failed: 0, uncertain: 0 }])
})

test('a repeat with an unknown outcome before it goes out under its key, or after a look back, or once and is recorded', async (t) => {
  for (const [delivery, found, sends, states] of [
    ['keyed', undefined, 2, { pending: 0, failed: 0, uncertain: 0 }],
    ['readback', { platformId: 'there' }, 1, { pending: 0, failed: 0, uncertain: 0 }],
    ['readback', undefined, 2, { pending: 0, failed: 0, uncertain: 0 }],
    ['uncertain', undefined, 2, { pending: 0, failed: 0, uncertain: 1 }],
  ] as const) {
    const keys: string[] = []
    const send: Send = async (_jid, _message, { idempotencyKey }) => {
      if (keys.push(idempotencyKey) === 1) throw new Error('the answer was lost')
      return { platformId: 'p' }
    }
    const office = postOffice(t, send, { capabilities: { delivery, maxText: 100 }, findSent: async () => found })
    office.post('tg:a', 'k')
    office.courier.deliver()
    await until(() => office.store.outbox.nextDueAfter(office.clock.now()) !== undefined, 'it is due again')
    office.clock.advance(1_000)
    await until(() => office.states().pending === 0, 'nothing waits any more')
    assert.deepEqual([keys, office.states()], [Array(sends).fill('k'), states], delivery)
  }
})

test('where nothing tells two attempts apart, an unknown outcome is repeated once and no more', async (t) => {
  let sends = 0
  const lost: Send = async (_jid, { text }) => {
    if (text !== 'k') return { platformId: null }
    sends++
    throw new Error('the answer was lost')
  }
  const { courier, post, clock, states } = postOffice(t, lost, { capabilities: { delivery: 'uncertain', maxText: 100 } })
  post('tg:a', 'k')
  courier.deliver()
  await until(() => sends === 1 && states().pending === 1, 'it is sent once, and waits')
  await until(() => {
    clock.advance(1_000)
    return states().uncertain === 1
  }, 'it is uncertain')
  clock.advance(3_600_000)
  await hasTheChance()
  assert.equal(sends, 2)
})

test('what certainly was not sent is repeated as often as it takes', async (t) => {
  let sends = 0
  const offline: Send = async () => {
    if (++sends < 4) throw new NotSent({ code: 'x.offline', message: 'not connected' })
    return { platformId: null }
  }
  const { courier, post, clock, states } = postOffice(t, offline, { capabilities: { delivery: 'uncertain', maxText: 100 } })
  post('tg:a', 'k')
  courier.deliver()
  await until(() => {
    clock.advance(1_000)
    return states().pending === 0
  }, 'nothing waits any more')
  assert.deepEqual([sends, states()], [4, { pending: 0, failed: 0, uncertain: 0 }])
})

test('what was under way when the host was killed may have arrived', async (t) => {
  const { store, courier, post, states } = postOffice(t, async () => ({ platformId: 'p' }), {
    capabilities: { delivery: 'uncertain', maxText: 100 },
  })
  post('tg:a', 'k')
  store.outbox.markSending(1)
  assert.equal(courier.recover(), 1)
  courier.deliver()
  await until(() => states().uncertain === 1, 'it is uncertain')
})

test('a host that is killed again and again in a send does not send again and again', async (t) => {
  let sends = 0
  const count: Send = async (_jid, { text }) => ({ platformId: text === 'k' ? String(++sends) : null })
  const { store, courier, post, states } = postOffice(t, count, { capabilities: { delivery: 'uncertain', maxText: 100 } })
  post('tg:a', 'k')
  for (const _ of ['first', 'second']) {
    store.outbox.markSending(1)
    courier.recover()
  }
  courier.deliver()
  await until(() => states().pending === 0, 'nothing waits any more')
  assert.deepEqual([sends, states().uncertain], [0, 1])
})

test('a platform that says when is asked then, and not before', async (t) => {
  const asked: number[] = []
  const { courier, post, clock, states } = postOffice(t, async () => {
    asked.push(clock.now())
    if (asked.length === 1) throw new NotSent({ code: 'x.429', message: 'slow down', retryAt: clock.now() + 90_000 })
    return { platformId: null }
  })
  post('tg:a', 'k')
  courier.deliver()
  await until(() => {
    clock.advanceToNext()
    return states().pending === 0
  }, 'nothing waits any more')
  assert.deepEqual(
    asked.map((at) => at - (asked[0] ?? 0)),
    [0, 90_000],
  )
})

test('a channel that is down holds its own rows only, and they go when it comes back', async (t) => {
  const sent: string[] = []
  const { courier, post, channel, states } = postOffice(t, async (_jid, { text }) => {
    sent.push(text)
    return { platformId: null }
  })
  channel.state = { state: 'retrying', at: 0, why: 'no network' }
  post('tg:a', 'a')
  post('ot:b', 'b')
  courier.deliver()
  await until(() => states().pending === 1, 'one waits')
  await hasTheChance()
  assert.deepEqual(sent, [])
  channel.state = { state: 'online' }
  courier.deliver()
  await until(() => states().pending === 0, 'nothing waits any more')
})

test('a channel whose sends fail is tried with one row at a time, and never twice in a second', async (t) => {
  const asked: number[] = []
  const { courier, post, clock } = postOffice(t, async () => {
    asked.push(clock.now())
    throw new Error('down')
  })
  for (let n = 0; n < 20; n++) post(`tg:${n}`, `k${n}`)
  courier.deliver()
  await until(() => asked.length === 20, 'all are tried')
  await until(() => {
    clock.advanceToNext()
    return asked.length === 25
  }, 'it is tried again')
  const gaps = asked.slice(20).map((at, n) => at - (asked[19 + n] ?? 0))
  assert.ok(gaps.every((gap) => gap >= 1_000) && (gaps.at(-1) ?? 0) >= 16_000, gaps.join())
})

test('a text that is too long goes in parts, in its place, and a restart sends no part twice', async (t) => {
  const sent: string[] = []
  const { courier, post, store, states } = postOffice(
    t,
    async (_jid, { text }, { idempotencyKey }) => {
      sent.push(`${idempotencyKey}: ${text.slice(0, 6)}`)
      return { platformId: null }
    },
    { capabilities: { delivery: 'keyed', maxText: 60 } },
  )
  const long = ['first ', 'second ', 'third '].map((word) => word.repeat(6).trim()).join('\n\n')
  store.outbox.add({ jid: 'tg:a', text: long, key: 'long', turnId: null, at: 0 })
  post('tg:a', 'after')
  courier.deliver()
  await until(() => states().pending === 0, 'nothing waits any more')
  assert.deepEqual(sent, ['long: first ', 'long/2: second', 'long/3: third ', 'after: after'])
})

test('a disk that is full while a send is written down sends nothing twice', async (t) => {
  let sends = 0
  const { courier, post, store, clock, states } = postOffice(t, async () => {
    sends++
    return { platformId: 'p' }
  })
  const full = t.mock.method(store.outbox, 'markSent', () => {
    throw new Error('SQLITE_FULL')
  })
  post('tg:a', 'k')
  courier.deliver()
  await until(() => full.mock.callCount() === 1, 'the disk is full')
  courier.deliver()
  clock.advance(4_999)
  await hasTheChance()
  assert.equal(full.mock.callCount(), 1)
  clock.advance(1)
  await until(() => full.mock.callCount() === 2, 'the disk is still full')
  full.mock.restore()
  clock.advance(5_000)
  await until(() => states().pending === 0, 'nothing waits any more')
  assert.equal(sends, 1)
})

test('a disk that is full before a send does not spin, and the send goes when there is room', async (t) => {
  const { courier, post, store, clock, states } = postOffice(t, async () => ({ platformId: 'p' }))
  const full = t.mock.method(store.outbox, 'markSending', () => {
    throw new Error('SQLITE_FULL')
  })
  post('tg:a', 'k')
  courier.deliver()
  clock.advance(4_999)
  await hasTheChance()
  assert.equal(full.mock.callCount(), 1)
  full.mock.restore()
  clock.advance(1)
  await until(() => states().pending === 0, 'nothing waits any more')
})

test('what was under way when the host was killed goes again under its key, at once', async (t) => {
  const keys: string[] = []
  const { store, courier, post, states } = postOffice(t, async (_jid, _message, { idempotencyKey }) => {
    keys.push(idempotencyKey)
    return { platformId: 'p' }
  })
  post('tg:a', 'k')
  store.outbox.markSending(1)
  assert.deepEqual([courier.recover(), courier.recover()], [1, 0])
  courier.deliver()
  await until(() => states().pending === 0, 'nothing waits any more')
  assert.deepEqual([keys, states()], [['k'], { pending: 0, failed: 0, uncertain: 0 }])
})

test('what one chat refuses holds no other up, and neither does a failure that is over', async (t) => {
  const sent: string[] = []
  let down = true
  const { courier, post, clock, states } = postOffice(t, async (jid, { text }) => {
    if (jid === 'tg:closed') throw new AppError({ code: 'x', fault: 'user', message: 'No.' })
    if (down) throw new Error('down')
    sent.push(text)
    return { platformId: null }
  })
  post('tg:a', 'a1')
  courier.deliver()
  await until(() => clock.waiting === 1, 'it is tried again later')
  down = false
  clock.advance(1_000)
  await until(() => states().pending === 0, 'nothing waits any more')
  post('tg:closed', 'no')
  for (const n of [1, 2, 3]) post(`tg:${n}`, `b${n}`)
  courier.deliver()
  await until(() => states().pending === 0, 'all are sent without a pause')
  assert.deepEqual(sent.sort(), ['a1', 'b1', 'b2', 'b3'])
})

test('the copy of a file is kept while it may be sent, and no longer', async (t) => {
  let tries = 0
  const { courier, store, clock, states, forgotten } = postOffice(t, async (jid) => {
    if (jid === 'tg:closed') throw new AppError({ code: 'x', fault: 'user', message: 'No.' })
    if (++tries === 1) throw new Error('down')
    return { platformId: null }
  })
  const send = (jid: string, name: string) => {
    const file = { path: `/nowhere/${name}`, name, mimeType: 'text/plain' }
    store.outbox.add({ jid, text: '', file, key: name, turnId: null, at: clock.now() })
    courier.deliver()
  }
  send('tg:a', 'a.txt')
  await until(() => clock.waiting === 1, 'it is tried again later')
  assert.deepEqual(forgotten, [])
  clock.advance(1_000)
  await until(() => states().pending === 0, 'it is sent')
  assert.deepEqual(forgotten, ['a.txt'])
  send('tg:closed', 'b.txt')
  await until(() => states().pending === 0, 'it is refused')
  assert.deepEqual(forgotten, ['a.txt', 'b.txt'])
})

test('a channel that cannot be asked for its state holds no other up, and is asked again', async (t) => {
  const { courier, post, clock, channel, states } = postOffice(t, async () => ({ platformId: null }))
  let broken = true
  const state = () => {
    if (broken) throw new Error('the library broke')
    return { state: 'online' }
  }
  Object.defineProperty(channel, 'state', { get: state })
  post('tg:a', 'one')
  post('ot:a', 'two')
  courier.deliver()
  await until(() => states().pending === 1, 'the other channel delivers')
  broken = false
  clock.advance(60_000)
  await until(() => states().pending === 0, 'this one does, too')
})

test('a text of which one piece is left is sent as that piece, at each try, and nothing blank is sent', async (t) => {
  const tries: string[] = []
  const { courier, post, clock, states } = postOffice(t, async (_jid, { text }) => {
    tries.push(text)
    if (tries.length === 1) throw new Error('the platform is down')
    return { platformId: null }
  })
  post('tg:a', `${' '.repeat(9_000)}b`)
  post('tg:a', ' \n\u200b')
  post('tg:a', `c${'\n'.repeat(9_000)}d`)
  courier.deliver()
  await until(() => {
    clock.advance(1_000)
    return states().pending === 0
  }, 'all are sent')
  assert.deepEqual(tries, ['b', 'b', 'c', 'd'])
  assert.deepEqual(states(), { pending: 0, failed: 0, uncertain: 0 })
})

test('a file with a blank caption is sent without words', async (t) => {
  const sent: [string, string | undefined][] = []
  const { store, courier, clock, states } = postOffice(t, async (_jid, { text, file }) => {
    sent.push([text, file?.name])
    return { platformId: null }
  })
  const file = { path: '/nowhere/a.txt', name: 'a.txt', mimeType: 'text/plain' }
  store.outbox.add({ jid: 'tg:a', text: ' '.repeat(9_000), file, key: 'k', turnId: null, at: clock.now() })
  courier.deliver()
  await until(() => states().pending === 0, 'it is sent')
  assert.deepEqual(sent, [['', 'a.txt']])
})

test('a copy that cannot be removed after its file was sent does not hold up the channel', async (t) => {
  const sent: string[] = []
  const { store, courier, clock, post, states, forgotten } = postOffice(t, async (_jid, { text }) => {
    sent.push(text)
    return { platformId: null }
  })
  forgotten.push = () => {
    throw new Error('EIO')
  }
  const file = { path: '/nowhere/a.txt', name: 'a.txt', mimeType: 'text/plain' }
  store.outbox.add({ jid: 'tg:a', text: 'first', file, key: 'k', turnId: null, at: clock.now() })
  post('tg:a', 'second')
  courier.deliver()
  await until(() => states().pending === 0, 'both are sent, and no time passed')
  assert.deepEqual(sent, ['first', 'second'])
})
