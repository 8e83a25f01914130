import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HostStatus } from '@nanoclaw/protocol'
import { renderStatus } from './status-view.ts'

const NOW = 1_700_000_000_000

function status(overrides: Partial<HostStatus>): HostStatus {
  return {
    version: '0.1.0',
    ready: true,
    pid: 4711,
    root: '/home/ann/nanoclaw',
    web: { url: null },
    groups: [{ folder: 'main', name: 'Main', isMain: true, chats: ['local:main'], state: 'idle', sessionId: null }],
    turns: { pending: 0, running: 0, failed: 0 },
    outbox: { pending: 0, failed: 0, uncertain: 0 },
    containers: [],
    channels: [{ name: 'terminal', state: 'online', detail: null, since: NOW }],
    troubles: [],
    ...overrides,
  }
}

test('a quiet host is shown without warnings', () => {
  const expected = `NanoClaw 0.1.0, ready
process    4711
folder     /home/ann/nanoclaw
dashboard  off

GROUP        NAME  STATE  SESSION  CHATS
main (main)  Main  idle   -        local:main

turns   0 running  0 pending  0 failed
outbox             0 pending  0 failed  0 uncertain

No containers run.

CHANNEL   STATE
terminal  online
`
  assert.equal(renderStatus(status({}), { now: NOW }), expected)
})

test('what is wrong is marked', () => {
  const text = renderStatus(
    status({
      ready: false,
      turns: { pending: 1, running: 2, failed: 3 },
      outbox: { pending: 0, failed: 0, uncertain: 4 },
      channels: [{ name: 'whatsapp', state: 'needs-pairing', detail: 'run ./nanoclaw channels login whatsapp', since: NOW }],
    }),
    { now: NOW },
  )
  for (const line of [
    /! not ready/,
    /2 running {2}1 pending {2}! 3 failed/,
    /! 4 uncertain/,
    /whatsapp {2}! needs-pairing {2}run/,
  ])
    assert.match(text, line)
})

test('containers are shown with their age, in columns that fit wide names', () => {
  const container = { id: 'abc', group: '家族', lane: 'chat', state: 'working' } as const
  const text = renderStatus(
    status({
      containers: [
        { ...container, name: 'nanoclaw-a', startedAt: NOW - 3_725_000 },
        { ...container, name: 'nanoclaw-b', group: 'main', startedAt: NOW - 5_000 },
      ],
    }),
    { now: NOW },
  )
  assert.ok(text.includes('nanoclaw-a  家族   chat  working  1h 02m\nnanoclaw-b  main   chat  working  5s\n'), text)
})

test('names cannot drive the terminal', () => {
  const name = 'Evil\u001b]0;owned\u0007\u001b[2J\nGROUP'
  const group = { folder: 'x', name, isMain: false, chats: [], state: 'idle' as const, sessionId: null }
  const text = renderStatus(status({ groups: [group] }), { now: NOW })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be left
  assert.doesNotMatch(text, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
  assert.match(text, /^x {6}Evil GROUP {2}idle {3}- {8}! none$/m)
})

test('troubles are shown with where, since when and why', () => {
  const text = renderStatus(
    status({
      troubles: [
        { kind: 'send', where: 'tg:1', folder: 'family', since: NOW - 65_000, why: 'was not delivered: no such chat\u001b[2J' },
        { kind: 'migration', where: '', folder: null, since: NOW - 3 * 86_400_000, why: 'two messages had no chat' },
      ],
    }),
    { now: NOW },
  )
  assert.match(text, /^! send {7}tg:1 {3}1m 05s ago {2}was not delivered: no such chat/m)
  assert.match(text, /^! migration {2}- {6}3d ago {6}two messages had no chat$/m)
})
