import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { type EngineOptions, ensureEngine } from './engine.ts'
import type { EngineFacts } from './engine-plan.ts'
import type { Person } from './person.ts'

/** A machine in a folder: programs are scripts, and the engine answers while a file `engine` exists. */
function machine(t: TestContext, programs: Record<string, string>) {
  const folder = mkdtempSync(path.join(tmpdir(), 'nanoclaw-engine-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, script] of Object.entries(programs))
    writeFileSync(path.join(folder, name), `#!/bin/sh\ncd ${folder}\n${script}\n`, { mode: 0o755 })
  const said: string[] = []
  const found = (name: string) => (existsSync(path.join(folder, name)) ? { [name]: path.join(folder, name) } : {})
  const readFacts = async (): Promise<EngineFacts> => ({
    answer: existsSync(path.join(folder, 'engine')) ? 'ready' : 'none',
    wanted: 'docker',
    platform: 'linux',
    wsl: false,
    systemd: false,
    user: { name: 'root', root: true, inDockerGroup: false },
    dockerHost: undefined,
    programs: { ...found('apt-get'), ...found('dockerd') },
  })
  const options: EngineOptions = {
    ask: undefined,
    yes: false,
    say: (line) => said.push(line),
    env: { PATH: `${folder}:/usr/bin:/bin` },
    logFolders: [path.join(folder, 'missing', 'logs')],
    readFacts,
  }
  return { folder, said, options }
}

const APT = `echo "apt-get $*" >>calls
[ "$1" = install ] || exit 0
printf '#!/bin/sh\\ncd %s\\necho dockerd is up\\n: >engine\\nexec sleep 600\\n' "$PWD" >dockerd
chmod +x dockerd`

function stopDaemon(t: TestContext, said: string[]) {
  const pid = Number(/process (\d+)/.exec(said.join('\n'))?.[1])
  assert.ok(pid > 0)
  t.after(() => process.kill(pid))
}

test('with --yes a machine without an engine gets one installed and started, each command shown first', async (t) => {
  const { folder, said, options } = machine(t, { 'apt-get': APT })
  assert.deepEqual(await ensureEngine({ ...options, yes: true }), { state: 'ready' })
  stopDaemon(t, said)
  assert.equal(readFileSync(path.join(folder, 'calls'), 'utf8'), 'apt-get update\napt-get install -y docker.io\n')
  assert.ok(said.includes('  $ env DEBIAN_FRONTEND=noninteractive apt-get install -y docker.io'))
  assert.match(readFileSync(path.join(folder, 'missing/logs/nanoclaw-dockerd.log'), 'utf8'), /dockerd is up/)
  const before = said.length
  assert.deepEqual(await ensureEngine({ ...options, yes: true }), { state: 'ready' })
  assert.equal(said.length, before)
})

test('without a terminal and without --yes nothing runs, and the commands are what is missing', async (t) => {
  const { folder, options } = machine(t, { 'apt-get': APT })
  const result = await ensureEngine(options)
  assert.equal(result.state, 'missing')
  assert.match(result.what.join('\n'), /apt-get install -y docker\.io/)
  assert.ok(!existsSync(path.join(folder, 'calls')))
})

test('a person is asked before anything runs, and a no is respected', async (t) => {
  const { folder, options } = machine(t, { 'apt-get': APT })
  const questions: string[] = []
  const ask: Person = { confirm: async (question) => questions.push(question) > 1, secret: async () => '' }
  assert.equal((await ensureEngine({ ...options, ask })).state, 'missing')
  assert.deepEqual(questions, ['Install Docker (docker.io)?'])
  assert.ok(!existsSync(path.join(folder, 'calls')))
})

test('a failed installation names the command and its exit code', async (t) => {
  const { options, said } = machine(t, { 'apt-get': 'echo E: no space left; exit 100' })
  const result = await ensureEngine({ ...options, yes: true })
  assert.equal(result.state, 'missing')
  assert.match(result.what.join('\n'), /exit code 100.*\n.*apt-get update/)
  assert.ok(said.includes('  E: no space left'))
})

test('a dockerd that ends at once is reported with the end of its log, without waiting', async (t) => {
  const { options } = machine(t, { dockerd: 'echo failed to start daemon: no iptables; exit 1' })
  const result = await ensureEngine({ ...options, yes: true })
  assert.equal(result.state, 'missing')
  assert.match(result.what.join('\n'), /no iptables/)
})

test('an installation that brings no engine ends instead of being repeated', async (t) => {
  const { folder, options } = machine(t, { 'apt-get': 'echo "$1" >>calls' })
  assert.equal((await ensureEngine({ ...options, yes: true })).state, 'missing')
  assert.equal(readFileSync(path.join(folder, 'calls'), 'utf8'), 'update\ninstall\n')
})
