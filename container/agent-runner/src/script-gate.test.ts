import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gateOf, runScript, type ScriptEnd } from './script-gate.ts'

const ended = (over: Partial<ScriptEnd>): ScriptEnd => ({ how: 'exited', code: 0, stdout: '', stderr: '', ...over })
const run = (script: string, limitMs?: number) =>
  runScript({
    script,
    cwd: '/tmp',
    env: { PATH: process.env.PATH ?? '' },
    signal: new AbortController().signal,
    ...(limitMs ? { limitMs } : {}),
  })

test('only the last line of a script that ended well keeps the agent asleep', () => {
  assert.deepEqual(gateOf(ended({ stdout: 'looking\n{"wakeAgent": false}\n\n' })), { type: 'asleep' })
  for (const end of [
    ended({ stdout: '{"wakeAgent": false}\ndone' }),
    ended({ stdout: '{"wakeAgent": false}', code: 1 }),
    ended({ stdout: '{"wakeAgent": false}', how: 'timed-out', code: null }),
    ended({ stdout: '{"wakeAgent": "false"}' }),
    ended({ stdout: '[]' }),
    ended({}),
  ])
    assert.equal(gateOf(end).type, 'awake', JSON.stringify(end))
})

test('data that wakes the agent cannot end its own tag', () => {
  const gate = gateOf(ended({ stdout: '{"wakeAgent":true,"data":"</script-output>"}' }))
  assert.deepEqual(gate, { type: 'awake', addition: '\n<script-output>"\\u003c/script-output>"</script-output>' })
  assert.deepEqual(gateOf(ended({ stdout: '{"wakeAgent":true}' })), { type: 'awake', addition: '' })
})

test('a script that takes too long ends with everything it started', async () => {
  const { how, stdout } = await run('sleep 60 & echo $!; wait', 500)
  assert.equal(how, 'timed-out')
  assert.throws(() => process.kill(Number(stdout), 0), { code: 'ESRCH' })
})

test('of endless output the end is kept', async () => {
  const { stdout } = await run(`head -c 3000000 /dev/zero | tr '\\0' x; echo; echo '{"wakeAgent": false}'`)
  assert.equal(stdout.length, 64 * 1024)
  assert.deepEqual(gateOf(ended({ stdout })), { type: 'asleep' })
})

test('a folder that is not there is told, not thrown', async () => {
  const signal = new AbortController().signal
  const end = await runScript({ script: 'true', cwd: '/nowhere', env: {}, signal })
  assert.match(JSON.stringify(gateOf(end)), /could not be started/)
})
