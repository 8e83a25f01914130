import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { writeDist } from '../../src/cli/setup/build.ts'

/** Stands for the launcher and the host behind it: tells its pid and arguments, and counts the signals that arrive. */
const LAUNCHER = `#!/usr/bin/env node
let signals = 0
process.on('SIGTERM', () => {
  if (++signals === 1) setTimeout(() => process.exit(signals === 1 ? 0 : 9), 300)
})
setInterval(() => {}, 1_000)
// Last: whoever reads this may send the signal at once.
console.log(process.pid, ...process.argv.slice(2))
`

/** Nodes before 22.15 have no execve: taking it away makes this one as old. */
const AS_OLD = ['--import', 'data:text/javascript,delete process.execve']

function startDist(t: TestContext, { nodeFlags, bySystemd }: { nodeFlags: string[]; bySystemd?: boolean }) {
  const folder = mkdtempSync(path.join(tmpdir(), 'nanoclaw-dist-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(path.join(folder, 'nanoclaw'), LAUNCHER, { mode: 0o755 })
  writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}')
  const node = [process.execPath, ...nodeFlags, writeDist(folder), '--flag']
  const script = bySystemd ? 'SYSTEMD_EXEC_PID=$$ exec "$@"' : 'exec "$@"'
  const env = { ...process.env, PATH: `${path.dirname(process.execPath)}:${process.env.PATH}` }
  return spawn('/bin/sh', ['-c', script, 'sh', ...node], { env, stdio: ['ignore', 'pipe', 'inherit'], detached: true })
}

for (const { name, nodeFlags } of [
  { name: 'a new Node becomes the launcher', nodeFlags: [] },
  { name: 'an old Node supervises the launcher', nodeFlags: AS_OLD },
])
  for (const { signalled, bySystemd } of [
    { signalled: 'its process alone', bySystemd: false },
    { signalled: 'every process of its unit', bySystemd: true },
  ])
    test(`${name}, and a stop signal to ${signalled} arrives once`, async (t) => {
      const child = startDist(t, { nodeFlags, bySystemd })
      const first = await new Promise<string>((resolve) => child.stdout.once('data', (data) => resolve(String(data).trim())))
      const [pid, ...args] = first.split(' ')
      assert.deepEqual(args, ['start', '--flag'])
      assert.equal(Number(pid) === child.pid, nodeFlags.length === 0)
      const code = new Promise((resolve) => child.on('exit', resolve))
      process.kill(bySystemd ? -(child.pid ?? 0) : (child.pid ?? 0), 'SIGTERM')
      assert.equal(await code, 0)
    })

test('what is written needs nothing but Node', (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'nanoclaw-dist-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const imports = [...readFileSync(writeDist(folder), 'utf8').matchAll(/from '([^']+)'/g)].map(([, name]) => name)
  assert.ok(imports.every((name) => name?.startsWith('node:')))
})
