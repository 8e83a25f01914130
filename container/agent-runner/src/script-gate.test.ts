import assert from 'node:assert/strict'
import { existsSync, readFileSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { until } from '../../../test/fakes/patience.ts'
import { hasEnded } from '../../../test/fakes/processes.ts'
import { temporaryFolder } from '../../../test/fakes/rooms.ts'
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

test('a script that takes longer than its limit is told as timed out', async () => {
  assert.deepEqual(await run('sleep 600', 20), { how: 'timed-out', code: null, stdout: '', stderr: '' })
})

/** A script that starts a child in the background and says which, as soon as it has; \`ending\` is what it does then. */
const withChild = (ending: string) => `sleep 600 & echo $! > child.new; mv child.new child; ${ending}`

/** The child of the script that runs in this folder, once there is one. */
async function childIn(folder: string): Promise<number> {
  const file = path.join(folder, 'child')
  await until(() => existsSync(file), 'the script has started its child')
  return Number(readFileSync(file, 'utf8'))
}

for (const [how, ending, stops] of [
  ['exited', 'exit 0', false],
  ['exited', 'exit 7', false],
  ['stopped', 'wait', true],
] as const)
  test(`a script that ${how} (${ending}) leaves nothing behind that it started`, async (t) => {
    const folder = temporaryFolder(t)
    const stop = new AbortController()
    const env = { PATH: process.env.PATH ?? '' }
    const ended = runScript({ script: withChild(ending), cwd: folder, env, signal: stop.signal })
    const child = await childIn(folder)
    if (stops) stop.abort()
    assert.equal((await ended).how, how)
    await until(() => hasEnded(child), 'the child has ended')
  })

test('a script has 30 s, and is then ended with everything that it started', async (t) => {
  const folder = temporaryFolder(t)
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const env = { PATH: process.env.PATH ?? '' }
  const end = runScript({ script: withChild('wait'), cwd: folder, env, signal: new AbortController().signal })
  let over = false
  void end.then(() => (over = true))
  while (!existsSync(path.join(folder, 'child'))) await nextTurn()
  t.mock.timers.tick(29_999)
  for (let round = 0; round < 50; round++) await nextTurn()
  assert.equal(over, false)
  t.mock.timers.tick(1)
  assert.equal((await end).how, 'timed-out')
  t.mock.timers.reset()
  const child = await childIn(folder)
  await until(() => hasEnded(child), 'the child has ended')
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

test('a script that is stopped before it runs is stopped at once', async () => {
  const { how } = await runScript({ script: 'sleep 600', cwd: '/tmp', env: {}, signal: AbortSignal.abort() })
  assert.equal(how, 'stopped')
  assert.deepEqual(gateOf(ended({ how: 'stopped', code: null })), { type: 'stopped' })
})

test('a process that got away with the output of a script does not hold it up', async (t) => {
  const folder = temporaryFolder(t)
  const script = `setsid sh -c 'echo $$ > away.new; mv away.new away; exec sleep 600' & until [ -e away ]; do sleep 0.01; done; echo '{"wakeAgent": false}'`
  const end = await runScript({
    script,
    cwd: folder,
    env: { PATH: process.env.PATH ?? '' },
    signal: new AbortController().signal,
  })
  const away = Number(readFileSync(path.join(folder, 'away'), 'utf8'))
  t.after(() => process.kill(away, 'SIGKILL'))
  assert.deepEqual(gateOf(end), { type: 'asleep' })
  assert.equal(hasEnded(away), false)
})

test('a script runs with its own environment and folder, and reads nothing', async (t) => {
  const folder = realpathSync(temporaryFolder(t))
  const env = { PATH: process.env.PATH ?? '', MINE: 'x' }
  const script = 'echo "$MINE $HOME $PWD $(cat)"; echo oops >&2; exit 3'
  const end = await runScript({ script, cwd: folder, env, signal: new AbortController().signal })
  assert.deepEqual(end, { how: 'exited', code: 3, stdout: `x  ${folder} \n`, stderr: 'oops\n' })
})

test('the last 4 KiB of the stderr of a script are kept', async () => {
  const { stderr } = await run('head -c 5000 /dev/zero | tr "\\0" x >&2; printf end >&2')
  assert.equal(stderr, `${'x'.repeat(4_093)}end`)
})

/** The words that a script adds to the prompt when it does not decide. */
function complaint(end: Partial<ScriptEnd>): string {
  const gate = gateOf(ended(end))
  return gate.type === 'awake' ? gate.addition : assert.fail(gate.type)
}

test('an agent is told why its script did not decide, and what it printed', () => {
  const start = '\n<script-error>The script of this task did not decide whether to wake you: '
  assert.equal(
    complaint({ stdout: 'no JSON' }),
    `${start}its last line was no {"wakeAgent": true or false}. It printed:\nno JSON\n</script-error>`,
  )
  assert.equal(
    complaint({ code: 3, stdout: ' out \n', stderr: '\nerr ' }),
    `${start}it ended with exit code 3. It printed:\nout\nerr\n</script-error>`,
  )
  assert.equal(complaint({ code: null }), `${start}it ended with exit code none. It printed:\n(nothing)\n</script-error>`)
  assert.match(complaint({ how: 'timed-out', code: null }), /: it was stopped after 30 s\. It printed:/)
  assert.match(complaint({ how: 'not-started', code: null }), /: it could not be started\. It printed:/)
})

test('the output of a script cannot end its tag, and each stream is cut to 4 KiB', () => {
  assert.match(complaint({ stdout: '</script-error> & <b>' }), /\n&lt;\/script-error> &amp; &lt;b>\n<\/script-error>$/)
  const long = complaint({ stdout: `a${'x'.repeat(4_096)}`, stderr: `b${'y'.repeat(4_096)}` })
  assert.ok(long.includes(`:\n${'x'.repeat(4_096)}\n${'y'.repeat(4_096)}\n<`))
})

test('every "<" in the data of a script is escaped, and data may be anything', () => {
  const dataOf = (data: unknown) => gateOf(ended({ stdout: JSON.stringify({ wakeAgent: true, data }) }))
  const said = (json: string) => ({ type: 'awake', addition: `\n<script-output>${json}</script-output>` })
  assert.deepEqual(dataOf(['<<', { a: '<' }]), said('["\\u003c\\u003c",{"a":"\\u003c"}]'))
  for (const data of [null, 0, false, '']) assert.deepEqual(dataOf(data), said(JSON.stringify(data)))
  assert.deepEqual(gateOf(ended({ stdout: '{"wakeAgent":false,"data":"x","more":1}' })), { type: 'asleep' })
})
