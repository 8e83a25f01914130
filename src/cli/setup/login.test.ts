import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { ensureLogin, type LoginOptions, readLogin } from './login.ts'
import type { Person } from './person.ts'

const KEY = `sk-ant-api03-${'k'.repeat(90)}`
const TOKEN = `sk-ant-oat01-${'t'.repeat(90)}`

function options(t: TestContext, answers?: string[]): LoginOptions & { said: string[] } {
  const folder = mkdtempSync(path.join(tmpdir(), 'nanoclaw-login-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const said: string[] = []
  const ask: Person = { confirm: async () => true, secret: async () => answers?.shift() ?? '' }
  return {
    said,
    ask: answers && ask,
    say: (line) => said.push(line),
    missingLogin: async () => 'There is no login yet.',
    envFile: path.join(folder, '.env'),
  }
}

test('a login that is there is not asked for', async (t) => {
  const o = options(t, [KEY])
  assert.deepEqual(await ensureLogin({ ...o, missingLogin: async () => undefined }), { state: 'ready' })
  assert.throws(() => statSync(o.envFile))
})

test('a pasted key goes into .env, readable only by its owner, and every other line stays', async (t) => {
  const o = options(t, ['nonsense', KEY])
  writeFileSync(o.envFile, '# mine\nTZ=Europe/Berlin\nANTHROPIC_API_KEY=\n', { mode: 0o644 })
  assert.deepEqual(await ensureLogin(o), { state: 'ready' })
  assert.equal(readFileSync(o.envFile, 'utf8'), `# mine\nTZ=Europe/Berlin\nANTHROPIC_API_KEY=${KEY}\n`)
  assert.equal(statSync(o.envFile).mode & 0o777, 0o600)
  assert.ok(!o.said.join('\n').includes(KEY))
})

test('Enter chooses the demo; without a terminal the reason is what is missing', async (t) => {
  assert.deepEqual(await ensureLogin(options(t, [''])), { state: 'demo' })
  assert.deepEqual(await ensureLogin(options(t)), { state: 'missing', what: ['There is no login yet.'] })
})

test('three useless answers end the questions', async (t) => {
  const o = options(t, ['a', 'b', 'c', KEY])
  assert.equal((await ensureLogin(o)).state, 'missing')
})

test('a login is recognised by its shape, with quotes, blanks or a name around it', () => {
  assert.deepEqual(readLogin(` ${TOKEN.slice(0, 60)}\n${TOKEN.slice(60)} `), {
    is: 'login',
    name: 'CLAUDE_CODE_OAUTH_TOKEN',
    value: TOKEN,
  })
  assert.deepEqual(readLogin(`export ANTHROPIC_API_KEY="${KEY}"`), { is: 'login', name: 'ANTHROPIC_API_KEY', value: KEY })
  assert.deepEqual(readLogin('  '), { is: 'nothing' })
  for (const wrong of ['sk-ant-api03-short', `sk-ant-admin01-${'k'.repeat(90)}`, `${KEY}é`, `sk-proj-${'k'.repeat(40)}`])
    assert.equal(readLogin(wrong).is, 'wrong')
})
