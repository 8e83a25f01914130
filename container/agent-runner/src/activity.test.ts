import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RunnerFrame } from '@nanoclaw/protocol'
import { Activity } from './activity.ts'

/** The activity of an agent whose clock stands still until it is moved; each frame in short. */
function activity() {
  const seen: string[] = []
  let now = 1_000
  const emit = (frame: RunnerFrame) => void (frame.type === 'activity' && seen.push(`${frame.kind}: ${frame.detail}`))
  const watched = new Activity({ emit, now: () => now })
  const event = (inner: object, parent: string | null = null) =>
    watched.streamed({ type: 'stream_event', parent_tool_use_id: parent, event: inner } as unknown as Parameters<
      Activity['streamed']
    >[0])
  const say = (text: string, parent: string | null = null) =>
    event({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } }, parent)
  const said = (...content: object[]) => watched.said({ message: { content } } as unknown as Parameters<Activity['said']>[0])
  return { seen, event, say, said, pass: (ms: number) => (now += ms) }
}

test('text is told as it grows, every 250 ms at most', () => {
  const { seen, say, pass } = activity()
  say('a')
  say('b')
  pass(249)
  say('c')
  assert.deepEqual(seen, ['text: a'])
  pass(1)
  say('d')
  assert.deepEqual(seen, ['text: a', 'text: abcd'])
  pass(249)
  say('e')
  pass(250)
  say('f')
  assert.deepEqual(seen.slice(2), ['text: abcdef'])
})

test('the text of each message begins anew, and its last 4,000 characters are told', () => {
  const { seen, say, event, pass } = activity()
  say('of the first')
  event({ type: 'message_start', message: {} })
  pass(250)
  say('x'.repeat(3_999))
  pass(250)
  say('y')
  pass(250)
  say('z')
  assert.deepEqual(seen, [
    'text: of the first',
    `text: ${'x'.repeat(3_999)}`,
    `text: ${'x'.repeat(3_999)}y`,
    `text: ${'x'.repeat(3_998)}yz`,
  ])
})

test('a subagent, and what is not text, are not told as text', () => {
  const { seen, say, event } = activity()
  say('of a subagent', 'tool-1')
  event({ type: 'message_start', message: {} }, 'tool-1')
  event({ type: 'content_block_delta', index: 0, delta: { type: 'thinking_delta', thinking: 'x' } })
  event({ type: 'content_block_stop', index: 0 })
  assert.deepEqual(seen, [])
  say('own')
  assert.deepEqual(seen, ['text: own'])
})

test('the beginning of a message of a subagent does not take away the text of the agent', () => {
  const { seen, say, event, pass } = activity()
  say('own ')
  event({ type: 'message_start', message: {} }, 'tool-1')
  pass(250)
  say('words')
  assert.deepEqual(seen, ['text: own ', 'text: own words'])
})

test('a tool is told with the part of its input that says most', () => {
  const { seen, said } = activity()
  const tool = (name: string, input: unknown) => said({ type: 'tool_use', name, input })
  tool('Bash', { command: 'ls\n  -la', description: 'list' })
  tool('Read', { file_path: '/a' })
  tool('Grep', { pattern: 'p' })
  tool('WebFetch', { url: 'https://x.test', prompt: 'x' })
  tool('WebSearch', { query: 'q' })
  tool('Task', { description: 'd' })
  tool('Skill', { skill: 's' })
  tool('TodoWrite', { todos: [] })
  tool('Odd', { command: 7, query: 'q' })
  for (const input of [null, 'text', undefined, { command: '' }]) tool('Empty', input)
  tool('Bash', { command: 'x'.repeat(201) })
  assert.deepEqual(seen, [
    ...['tool: Bash: ls -la', 'tool: Read: /a', 'tool: Grep: p', 'tool: WebFetch: https://x.test', 'tool: WebSearch: q'],
    ...['tool: Task: d', 'tool: Skill: s', 'tool: TodoWrite', 'tool: Odd: q', ...Array(4).fill('tool: Empty')],
    `tool: Bash: ${'x'.repeat(200)}`,
  ])
})

test('a message tells each of its tools, and thinking without its content', () => {
  const { seen, said } = activity()
  said(
    { type: 'thinking', thinking: 'secret' },
    { type: 'text', text: 'x' },
    { type: 'tool_use', name: 'A', input: {} },
    { type: 'tool_use', name: 'B', input: {} },
  )
  assert.deepEqual(seen, ['thinking: ', 'tool: A', 'tool: B'])
})
