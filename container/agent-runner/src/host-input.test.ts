import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { MAX_FRAME_BYTES } from '@nanoclaw/protocol'
import { HostInput } from './host-input.ts'

const UUID = '00000000-0000-4000-8000-000000000001'

/** Everything that the host wrote, as the runner reads it, with the complaints about it. */
async function read(t: TestContext, ...written: (string | object)[]) {
  const complaints: string[] = []
  t.mock.method(console, 'error', (text: string) => complaints.push(text))
  const stdin = new PassThrough()
  stdin.end(written.map((line) => `${typeof line === 'string' ? line : JSON.stringify(line)}\n`).join(''))
  const input = new HostInput(stdin)
  const first = await input.first()
  return { first, frames: await Array.fromAsync(input.frames()), complaints }
}

test('the first line is the input, every later one a frame, and the end of all means close', async (t) => {
  const { first, frames, complaints } = await read(t, { any: 'thing' }, { type: 'interrupt' }, '', '  ', {
    type: 'followup',
    uuid: UUID,
    prompt: 'hi',
  })
  assert.deepEqual(first, { any: 'thing' })
  assert.deepEqual(frames, [{ type: 'interrupt' }, { type: 'followup', uuid: UUID, prompt: 'hi' }, { type: 'close' }])
  assert.deepEqual(complaints, [])
})

test('a first line that is missing, too long or not JSON counts as no input', async (t) => {
  assert.deepEqual(await read(t), { first: undefined, frames: [{ type: 'close' }], complaints: [] })
  assert.equal((await read(t, '{"groupFolder":')).first, undefined)
  assert.equal((await read(t, '')).first, undefined)
  assert.equal((await read(t, `"${'x'.repeat(MAX_FRAME_BYTES - 1)}"`)).first, undefined)
  assert.equal(String((await read(t, `"${'x'.repeat(MAX_FRAME_BYTES - 2)}"`)).first).length, MAX_FRAME_BYTES - 2)
})

test('a frame that is not understood is passed over, and the log says what is wrong with it', async (t) => {
  const { frames, complaints } = await read(
    t,
    {},
    { type: 'dance' },
    '{"type":"turn"',
    { type: 'followup', uuid: 'x', prompt: 1 },
    `"${'x'.repeat(MAX_FRAME_BYTES)}"`,
    { type: 'interrupt' },
  )
  assert.deepEqual(frames, [{ type: 'interrupt' }, { type: 'close' }])
  const [unknown = '', broken = '', wrong = '', long = '', ...more] = complaints
  for (const line of complaints) assert.match(line, /^runner: a frame of the host was not understood: \S/)
  assert.match(unknown, /Invalid discriminator value|Invalid input/)
  assert.match(broken, /Invalid input/)
  assert.match(wrong, /Invalid UUID/, 'the first thing that is wrong')
  assert.match(long, /Invalid input/)
  assert.deepEqual(more, [])
  assert.ok(!complaints.some((line) => line.includes('undefined') && !line.includes('received undefined')), complaints.join('\n'))
})
