import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
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

/** Also when nobody has collected it yet: whoever is process 1 here takes its time for that. */
function hasEnded(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ')
  } catch {
    return true
  }
}

async function until(isSo: () => boolean): Promise<void> {
  for (const started = performance.now(); !isSo(); await nextTurn())
    assert.ok(performance.now() - started < 20_000, 'it still runs')
}

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
  const { how, stdout } = await run('sleep 60 & echo $!; wait', 3_000)
  assert.equal(how, 'timed-out')
  const sleeper = Number(stdout)
  assert.ok(sleeper > 0, 'the script had started its child')
  await until(() => hasEnded(sleeper))
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
