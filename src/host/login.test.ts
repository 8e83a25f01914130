import assert from 'node:assert/strict'
import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { until } from '../../test/fakes/patience.ts'
import { storeWith, type TestContext } from '../../test/fakes/rooms.ts'
import { loadConfig } from '../config.ts'
import type { Base } from './base.ts'
import { loginFile, makeLoginWatch } from './login.ts'

const HOUR = 3_600_000

/** A machine with, or without, the folder in which Claude Code keeps its login. */
function machine(t: TestContext, { folder = true, env = {} }: { folder?: boolean; env?: Record<string, string> } = {}) {
  const { store, folder: root } = storeWith(t, ['main'])
  const home = path.join(root, 'home')
  if (folder) mkdirSync(path.join(home, '.claude'), { recursive: true })
  const config = loadConfig({ NANOCLAW_HOME: root, ...env }, home)
  const happened: string[] = []
  const note = (text: string) => void happened.push(text)
  const base = { config, store, log: { debug: note, info() {}, warn() {}, error: note } } as unknown as Base
  const logIn = (accessToken: string, expiresAt = Date.now() + 2 * HOUR) => {
    mkdirSync(path.join(home, '.claude'), { recursive: true })
    const [draft, file] = [path.join(home, 'draft'), path.join(home, '.claude', '.credentials.json')]
    writeFileSync(draft, JSON.stringify({ claudeAiOauth: { accessToken, expiresAt } }))
    renameSync(draft, file) // half a login would be another one
  }
  const begin = () => {
    const logins = makeLoginWatch(base, { wakeAll: () => note('woken'), tell: note })
    t.after(() => logins.close())
    return logins
  }
  return { config, store, happened, logIn, begin }
}

test('another login is noticed when its file changes, and wakes what waits', async (t) => {
  const { logIn, begin, happened } = machine(t)
  logIn('first')
  const logins = begin()
  logins.check()
  let n = 0
  await until(() => {
    if (happened.length === 0) logIn(`another ${n++}`)
    return happened.length > 0
  }, 'one of them is noticed')
  assert.ok(happened.every((one) => one === 'woken'))
  assert.equal(happened.length, logins.changes)
})

test('without a folder to watch, another login is noticed by the next check', async (t) => {
  const { logIn, begin, happened } = machine(t, { folder: false })
  const logins = begin()
  assert.match(happened.splice(0).join(), /^There is no ~\/\.claude to watch/)
  const checked = () => new Promise((resolve) => setImmediate(resolve))
  logins.check()
  await checked()
  logIn('second')
  await until(() => {
    logins.check()
    return happened.length > 0
  }, 'it is noticed')
  assert.deepEqual(happened, ['woken'])
})

test('a login that is about to end is told once', async (t) => {
  const { logIn, begin, happened } = machine(t)
  logIn('short', Date.now() + HOUR / 2)
  const logins = begin()
  logins.check()
  await until(() => happened.length > 0, 'it is told')
  logins.check()
  logIn('long', Date.now() + 2 * HOUR)
  logins.check()
  await until(() => happened.includes('woken'), 'the next login is noticed')
  assert.match(happened[0] ?? '', /expires at/)
  assert.equal(happened.length, 2)
})

test('a check that fails is a line of the log', async (t) => {
  const { logIn, begin, store, happened } = machine(t)
  logIn('short', Date.now() + HOUR / 2)
  const logins = begin()
  t.mock.method(store.facts, 'set', () => {
    throw new Error('the disk is full')
  })
  logins.check()
  await until(() => happened.length > 0, 'it is logged')
  assert.deepEqual(happened, ['The login could not be looked at: the disk is full'])
})

test('a container gets the kind of the login, and with CREDENTIALS=mount the login itself', async (t) => {
  const [key, token] = [`sk-ant-api03-${'k'.repeat(20)}`, `sk-ant-oat01-${'t'.repeat(20)}`]
  const { config } = machine(t, { env: { ANTHROPIC_API_KEY: key, CLAUDE_CODE_OAUTH_TOKEN: token } })
  const { placeholder, real } = await loginFile(config)
  assert.equal(real, `ANTHROPIC_API_KEY=${key}\nCLAUDE_CODE_OAUTH_TOKEN=${token}\n`)
  assert.match(placeholder, /^ANTHROPIC_API_KEY=/m)
  assert.ok(!placeholder.includes(key))
  const other = await loginFile(machine(t, { env: { CLAUDE_CODE_OAUTH_TOKEN: token } }).config)
  assert.equal(other.real, `CLAUDE_CODE_OAUTH_TOKEN=${token}\n`)
  assert.match(other.placeholder, /^CLAUDE_CODE_OAUTH_TOKEN=/m)
})
