import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { test } from 'node:test'
import { temporaryFolder } from '../test/fakes/rooms.ts'
import { loadConfig, readEnvFile } from './config.ts'
import { AppError } from './domain/errors.ts'

test('settings have their documented defaults', (t) => {
  const root = temporaryFolder(t)
  const config = loadConfig({ NANOCLAW_HOME: root, TZ: 'UTC' }, '/home/x')
  assert.equal(config.root, root)
  assert.deepEqual(
    [config.assistantName, config.image, config.containerTimeoutMs, config.idleTimeoutMs, config.maxContainers],
    ['Andy', 'nanoclaw-agent:latest', 1_800_000, 1_800_000, 5],
  )
  assert.deepEqual([config.network, config.credentials, config.containerRuntime], ['gateway', 'gateway', 'docker'])
})

test('the environment goes before .env, and an empty value counts as none', (t) => {
  const root = temporaryFolder(t)
  writeFileSync(
    path.join(root, '.env'),
    'ASSISTANT_NAME=File\nCONTAINER_IMAGE="from file" # why\nexport ANTHROPIC_API_KEY=\'sk-ant-1\'\n#X=1\nbroken line\n',
  )
  const config = loadConfig({ NANOCLAW_HOME: root, ASSISTANT_NAME: 'Env', CONTAINER_IMAGE: '' })
  assert.deepEqual([config.assistantName, config.image, config.apiKey], ['Env', 'from file', 'sk-ant-1'])
})

test('every unusable setting is named at once, and no value is repeated', (t) => {
  const env = {
    NANOCLAW_HOME: temporaryFolder(t),
    CONTAINER_TIMEOUT: 'sk-ant-oops',
    IDLE_TIMEOUT: '5',
    TZ: 'Mars/Base',
    LOG_LEVEL: 'loud',
    ANTHROPIC_BASE_URL: 'ftp://x',
  }
  assert.throws(
    () => loadConfig(env),
    (error) => {
      assert.ok(error instanceof AppError && error.code === 'config.invalid')
      for (const name of ['CONTAINER_TIMEOUT', 'IDLE_TIMEOUT', 'TZ', 'LOG_LEVEL', 'ANTHROPIC_BASE_URL'])
        assert.match(error.message, new RegExp(`^  ${name} is `, 'm'))
      assert.doesNotMatch(error.message, /sk-ant-oops/)
      return true
    },
  )
})

test('sockets of a root with a long name live in a private folder, the same one each time', (t) => {
  const root = path.join(temporaryFolder(t), 'x'.repeat(120))
  const { paths } = loadConfig({ NANOCLAW_HOME: root, XDG_RUNTIME_DIR: '/run/user/7' })
  assert.match(paths.controlSocket, /^\/run\/user\/7\/nanoclaw-\d+-[0-9a-f]{12}\/nanoclaw\.sock$/)
  assert.equal(
    loadConfig({ NANOCLAW_HOME: root, XDG_RUNTIME_DIR: '/run/user/7' }).paths.runs,
    path.join(path.dirname(paths.controlSocket), 'run'),
  )
})

test('budgets and prices are numbers, and there is none unless it is set', (t) => {
  const root = temporaryFolder(t)
  const prices = ' claude-opus-5=4/20/0.4, local-model=0/0 '
  const set = loadConfig({ NANOCLAW_HOME: root, BUDGET_DAY_USD: '2.50', BUDGET_MONTH_TOKENS: '1000000', MODEL_PRICES: prices })
  assert.deepEqual(set.budget, { dayUsd: 2.5, monthUsd: undefined, dayTokens: undefined, monthTokens: 1_000_000 })
  assert.deepEqual(set.modelPrices, {
    'claude-opus-5': { input: 4, output: 20, cacheRead: 0.4 },
    'local-model': { input: 0, output: 0, cacheRead: 0 },
  })
  const without = loadConfig({ NANOCLAW_HOME: root })
  assert.deepEqual([Object.values(without.budget), without.modelPrices], [[undefined, undefined, undefined, undefined], {}])
  for (const wrong of [
    { BUDGET_DAY_USD: '-1' },
    { BUDGET_DAY_USD: '$5' },
    { MODEL_PRICES: 'opus=5' },
    { MODEL_PRICES: 'x=1/1.2.3' },
  ])
    assert.throws(
      () => loadConfig({ NANOCLAW_HOME: root, ...wrong }),
      new RegExp(`${Object.keys(wrong)[0]} (is a number|names models)`),
    )
})

test('a missing .env has no values', () => {
  assert.deepEqual(readEnvFile('/nowhere/.env'), {})
})

test('a line that has only a remark behind its name sets nothing', (t) => {
  const file = path.join(temporaryFolder(t), '.env')
  writeFileSync(
    file,
    'ANTHROPIC_API_KEY=   # put yours here\nTZ=UTC # theirs\nEMPTY=""\nPASSPHRASE="a # b"\nCOLOUR=a#b\nHASH=#abc \n',
  )
  assert.deepEqual(readEnvFile(file), { TZ: 'UTC', PASSPHRASE: 'a # b', COLOUR: 'a#b', HASH: '#abc' })
})

test('nobody transcribes by default, and a command and an endpoint exclude each other', (t) => {
  const config = (env: Record<string, string>) => loadConfig({ NANOCLAW_HOME: temporaryFolder(t), ...env })
  const url = 'http://127.0.0.1:8000/v1/audio/transcriptions'
  assert.equal(config({}).transcription, undefined)
  assert.deepEqual(config({ TRANSCRIBE_COMMAND: 'hear {file}' }).transcription, { by: 'command', command: 'hear {file}' })
  assert.deepEqual(config({ TRANSCRIBE_URL: url }).transcription, { by: 'endpoint', url, model: 'whisper-1', apiKey: undefined })
  assert.throws(() => config({ TRANSCRIBE_COMMAND: 'hear', TRANSCRIBE_URL: url }), /TRANSCRIBE_URL cannot be used beside/)
})
