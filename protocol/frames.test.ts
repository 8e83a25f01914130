import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { z } from 'zod'
import { failureClass, hostFrame, runnerFrame, runnerInput } from './frames.ts'

const UUID = '00000000-0000-4000-8000-000000000001'

/** The names of the fields that a schema finds fault with; empty for what it accepts. */
function faults(schema: z.ZodType, value: unknown): string[] {
  return schema.safeParse(value).error?.issues.map(({ path }) => path.join('.')) ?? []
}

test('a session has a name of 1 to 200 characters', () => {
  const named = (length: number) => faults(runnerFrame, { type: 'session', sessionId: 's'.repeat(length) })
  assert.deepEqual([0, 1, 200, 201].map(named), [['sessionId'], [], [], ['sessionId']])
  assert.deepEqual(faults(runnerFrame, { type: 'session' }), ['sessionId'])
})

test('an activity is of a known kind, and its detail has at most 20,000 characters', () => {
  const activity = (over: object) => faults(runnerFrame, { type: 'activity', kind: 'text', detail: '', ...over })
  for (const kind of ['text', 'tool', 'thinking', 'compacting']) assert.deepEqual(activity({ kind }), [], kind)
  assert.deepEqual(activity({ kind: 'dancing' }), ['kind'])
  assert.deepEqual(activity({ detail: 'x'.repeat(20_000) }), [])
  assert.deepEqual(activity({ detail: 'x'.repeat(20_001) }), ['detail'])
  assert.deepEqual(activity({ detail: undefined }), ['detail'])
})

test('a result needs its status and its text or null, and consumes nothing unless it says so', () => {
  const bare = { type: 'result', status: 'success', result: null }
  assert.deepEqual(runnerFrame.parse(bare), { ...bare, consumed: [] })
  const result = (over: object) => faults(runnerFrame, { ...bare, ...over })
  assert.deepEqual(result({ status: 'maybe' }), ['status'])
  assert.deepEqual(result({ result: undefined }), ['result'])
  assert.deepEqual(result({ result: '' }), [])
  assert.deepEqual(result({ consumed: [1] }), ['consumed.0'])
  assert.deepEqual(result({ usage: { inputTokens: 1, outputTokens: 2, costUsd: 0.5 } }), [])
  assert.deepEqual(result({ usage: { inputTokens: '1', outputTokens: 2 } }), ['usage.inputTokens', 'usage.costUsd'])
  assert.deepEqual(result({ answerId: 'a'.repeat(200) }), [])
  assert.deepEqual(result({ answerId: 'a'.repeat(201) }), ['answerId'])
})

test('a runner tells a failure by one of the classes that the host knows', () => {
  const told = (errorClass: string) => faults(runnerFrame, { type: 'result', status: 'error', result: null, errorClass })
  const classes = [
    ...['login', 'billing', 'rate-limit', 'overload', 'session-lost', 'too-large', 'invalid-request', 'budget', 'interrupted'],
    ...['setup', 'crash'],
  ]
  assert.deepEqual([...failureClass.options].sort(), classes.sort())
  for (const name of classes) assert.deepEqual(told(name), [], name)
  assert.deepEqual(told('engine'), ['errorClass'], 'only the host knows of its engine')
})

test('a frame of a type that nobody knows is refused', () => {
  for (const frame of [{}, { type: 'turn' }, { type: 'Ready' }, null, [], 'ready'])
    assert.ok(faults(runnerFrame, frame).length > 0)
  assert.deepEqual(faults(runnerFrame, { type: 'ready' }), [])
  for (const frame of [{}, { type: 'result' }, null]) assert.ok(faults(hostFrame, frame).length > 0)
  for (const type of ['interrupt', 'close']) assert.deepEqual(faults(hostFrame, { type }), [], type)
})

test('the host names turns and follow-ups by uuids', () => {
  const turn = { type: 'turn', uuid: UUID, prompt: 'hi', chatJid: 'tg:1' }
  assert.deepEqual(hostFrame.parse(turn), { ...turn, earlier: [], siblings: [] })
  const named = (over: object) => faults(hostFrame, { ...turn, ...over })
  assert.deepEqual(named({ uuid: '1' }), ['uuid'])
  assert.deepEqual(named({ earlier: [UUID, '1'], siblings: ['2'] }), ['earlier.1', 'siblings.0'])
  assert.deepEqual(named({ prompt: undefined, chatJid: undefined }), ['prompt', 'chatJid'])
  assert.deepEqual(named({ script: 'exit 0' }), [])
  assert.deepEqual(faults(hostFrame, { type: 'followup', uuid: UUID, prompt: 'hi' }), [])
  assert.deepEqual(faults(hostFrame, { type: 'followup', uuid: '1' }), ['uuid', 'prompt'])
  assert.deepEqual(faults(hostFrame, { type: 'reply', id: 'x', ok: true, result: { any: 'thing' } }), [])
  assert.deepEqual(faults(hostFrame, { type: 'reply', ok: 'yes' }), ['id', 'ok', 'result'])
})

test('the input of a run has defaults for everything but its group and chat', () => {
  const least = { groupFolder: 'main', chatJid: 'local:main' }
  assert.deepEqual(runnerInput.parse(least), {
    ...least,
    ...{ earlier: [], isMain: false, isScheduledTask: false, assistantName: 'Andy', mounts: [] },
    ...{ maxTranscriptBytes: 32 * 1024 * 1024, replyTimeoutMs: 60_000 },
  })
  assert.deepEqual(faults(runnerInput, {}), ['groupFolder', 'chatJid'])
  const given = (over: object) => faults(runnerInput, { ...least, ...over })
  for (const name of ['maxTranscriptBytes', 'replyTimeoutMs'])
    assert.deepEqual(
      [0, 1, 1.5].map((value) => given({ [name]: value })),
      [[name], [], [name]],
    )
  for (const effort of ['low', 'medium', 'high', 'xhigh', 'max']) assert.deepEqual(given({ effort }), [], effort)
  assert.deepEqual(given({ effort: 'none' }), ['effort'])
  assert.deepEqual(given({ uuid: 'one', earlier: ['two'] }), ['uuid', 'earlier.0'])
  assert.deepEqual(
    given({
      mounts: [
        { target: '/x', ino: '1' },
        { target: '/y', dev: '2', ino: '3' },
      ],
    }),
    [],
  )
  assert.deepEqual(given({ mounts: [{ target: '/x' }] }), ['mounts.0.ino'])
})
