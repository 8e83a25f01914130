import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import { type TestContext, temporaryFolder } from '../test/fakes/rooms.ts'
import { loadConfig, mountRules, PROJECT, pathsOf, readEnvFile } from './config.ts'
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

/** Whether these settings can be used. */
function isUsable(t: TestContext, env: Record<string, string>): boolean {
  try {
    loadConfig({ NANOCLAW_HOME: temporaryFolder(t), ...env })
    return true
  } catch {
    return false
  }
}

test('every setting has its bounds', (t) => {
  const bounds: [name: string, usable: string[], unusable: string[]][] = [
    ...['CONTAINER_TIMEOUT', 'IDLE_TIMEOUT', 'SHUTDOWN_GRACE'].map((name) => {
      return [name, ['1000', '86400000'], ['999', '1000.5', '-1000', '1e4', '5m']] as [string, string[], string[]]
    }),
    ['MAX_CONCURRENT_CONTAINERS', ['1', '99'], ['0', '1.5', '-1', 'x']],
    ['MAX_TURN_RETRIES', ['0', '9'], ['-1', '1.5']],
    ['BACKUP_KEEP', ['1'], ['0', 'x']],
    ['METRICS_PORT', ['0', '65535'], ['65536', '-1', '80.5']],
    ['ASSISTANT_NAME', ['x', 'x'.repeat(64)], [' ', 'x'.repeat(65)]],
    ['BACKUP_PASSPHRASE', ['12345678'], ['1234567']],
    ['BACKUP_FOLDER', ['/backups'], ['backups', './backups', '~/backups']],
    ['LOG_LEVEL', ['trace', 'debug', 'info', 'warn', 'error', 'fatal'], ['INFO', 'silent']],
    ['LOG_FORMAT', ['text', 'json'], ['xml']],
    ['CONTAINER_RUNTIME', ['docker', 'podman'], ['lxc']],
    ['CREDENTIALS', ['gateway', 'mount'], ['none']],
    ['NETWORK', ['gateway', 'bridge', 'none'], ['host']],
    ['ASSISTANT_HAS_OWN_NUMBER', ['true', 'false'], ['yes', '1']],
    ['WHATSAPP_SOCKET_URL', ['ws://127.0.0.1:1', 'wss://example.com'], ['http://example.com', 'example.com']],
    ['WHATSAPP_VERSION', ['2.3000.1043857760'], ['2.3000', 'v2.3.4', '2.3.4.5']],
    ['TRANSCRIBE_URL', ['http://x.test', 'https://x.test'], ['ftp://x.test']],
    ['ANTHROPIC_BASE_URL', ['http://x.test/a', 'https://x.test'], ['ws://x.test', 'x.test']],
    ['TZ', ['UTC', 'Europe/Berlin'], ['Mars/Base', '+99']],
    ...['BUDGET_DAY_USD', 'BUDGET_MONTH_USD', 'BUDGET_DAY_TOKENS', 'BUDGET_MONTH_TOKENS'].map((name) => {
      return [name, ['0', '0.5', '1000000'], ['-1', '.5', '5.', '1e3', '5 USD']] as [string, string[], string[]]
    }),
    [
      'MODEL_PRICES',
      [',', 'a=1/2', 'a-b.c_d=1/2/3 , e=0.5/0', ' a = 1/2 '],
      ['a', 'a=1', '=1/2', 'a=1/2/3/4', 'a=./1', 'a b=1/2', 'a=1/2;b=1/2'],
    ],
  ]
  for (const [name, usable, unusable] of bounds) {
    for (const value of usable) assert.ok(isUsable(t, { [name]: value }), `${name}=${value}`)
    for (const value of unusable) assert.ok(!isUsable(t, { [name]: value }), `${name}=${value}`)
  }
})

test('every setting reaches its place', (t) => {
  const root = temporaryFolder(t)
  const { paths, modelUrl, ...config } = loadConfig(
    {
      ...{ NANOCLAW_HOME: root, ASSISTANT_NAME: ' Bo ', CONTAINER_IMAGE: 'i', CONTAINER_TIMEOUT: '1001', IDLE_TIMEOUT: '1002' },
      ...{ MAX_CONCURRENT_CONTAINERS: '3', LOG_LEVEL: 'warn', LOG_FORMAT: 'json', TZ: 'Asia/Tokyo', CONTAINER_RUNTIME: 'podman' },
      ...{
        CREDENTIALS: 'mount',
        NETWORK: 'none',
        SHUTDOWN_GRACE: '1003',
        MAX_TURN_RETRIES: '0',
        ASSISTANT_HAS_OWN_NUMBER: 'true',
      },
      ...{
        WHATSAPP_SOCKET_URL: 'ws://x.test',
        WHATSAPP_VERSION: '1.2.3',
        TRANSCRIBE_URL: 'http://x.test',
        TRANSCRIBE_MODEL: 'w',
      },
      ...{
        TRANSCRIBE_API_KEY: 'tk',
        BUDGET_DAY_USD: '1',
        BUDGET_MONTH_USD: '2',
        BUDGET_DAY_TOKENS: '3',
        BUDGET_MONTH_TOKENS: '4',
      },
      ...{
        MODEL_PRICES: 'm=10/20',
        BACKUP_FOLDER: '/b',
        BACKUP_KEEP: '2',
        BACKUP_PASSPHRASE: 'correct horse',
        METRICS_PORT: '9',
      },
      ...{ ANTHROPIC_API_KEY: 'ak', CLAUDE_CODE_OAUTH_TOKEN: 'ot', ANTHROPIC_BASE_URL: 'http://x.test/p' },
    },
    '/home/x',
  )
  assert.deepEqual(config, {
    ...{ root, assistantName: 'Bo', image: 'i', containerTimeoutMs: 1_001, idleTimeoutMs: 1_002, maxContainers: 3 },
    ...{ logLevel: 'warn', logFormat: 'json', timeZone: 'Asia/Tokyo', containerRuntime: 'podman', credentials: 'mount' },
    ...{ network: 'none', shutdownGraceMs: 1_003, maxTurnRetries: 0, hasOwnNumber: true },
    whatsapp: { socketUrl: 'ws://x.test', version: '1.2.3' },
    transcription: { by: 'endpoint', url: 'http://x.test', model: 'w', apiKey: 'tk' },
    budget: { dayUsd: 1, monthUsd: 2, dayTokens: 3, monthTokens: 4 },
    modelPrices: { m: { input: 10, output: 20, cacheRead: 1 } },
    backup: { folder: '/b', keep: 2, passphrase: 'correct horse' },
    ...{ metricsPort: 9, apiKey: 'ak', oauthToken: 'ot', userHome: '/home/x' },
  })
  assert.equal(modelUrl.href, 'http://x.test/p')
  assert.deepEqual(
    [paths.database, paths.lock, paths.holder],
    [`${root}/store/messages.db`, `${root}/data/host.lock`, `${root}/data/host.json`],
  )
})

test('a missing setting has its documented default', (t) => {
  const config = loadConfig({ NANOCLAW_HOME: temporaryFolder(t), TZ: 'UTC' }, '/home/x')
  assert.deepEqual(
    [config.logLevel, config.logFormat, config.shutdownGraceMs, config.maxTurnRetries],
    ['info', 'text', 20_000, 5],
  )
  assert.deepEqual(
    [config.hasOwnNumber, config.metricsPort, config.apiKey, config.oauthToken],
    [false, undefined, undefined, undefined],
  )
  assert.deepEqual(config.backup, { folder: undefined, keep: 7, passphrase: undefined })
  assert.deepEqual(config.whatsapp, { socketUrl: undefined, version: undefined })
  assert.equal(config.modelUrl.href, 'https://api.anthropic.com/')
})

test('sockets live in the root as long as the path of the longest one has at most 100 bytes', () => {
  const longest = '/data/run/12345678/gateway.sock'
  const root = (bytes: number) => `/${'x'.repeat(bytes - 1 - longest.length)}`
  const env = { XDG_RUNTIME_DIR: '/run/user/7' }
  assert.deepEqual(pathsOf(root(100), env), {
    database: `${root(100)}/store/messages.db`,
    lock: `${root(100)}/data/host.lock`,
    holder: `${root(100)}/data/host.json`,
    controlSocket: `${root(100)}/data/nanoclaw.sock`,
    runs: `${root(100)}/data/run`,
  })
  assert.match(pathsOf(root(101), env).runs, /^\/run\/user\/7\/nanoclaw-\d+-[0-9a-f]{12}\/run$/)
  assert.match(pathsOf(`${root(98)}ä`, env).runs, /\/data\/run$/)
  assert.match(pathsOf(`${root(99)}ä`, env).runs, /^\/run\/user\/7\//, 'what counts is bytes')
  assert.ok(pathsOf(root(101), {}).runs.startsWith(path.join(os.tmpdir(), 'nanoclaw-')))
  assert.notEqual(pathsOf(root(102), env).runs, pathsOf(root(103), env).runs, 'each root has its own')
})

test('nothing of this installation, nor the login of Claude Code, is mounted by a wish', (t) => {
  const root = temporaryFolder(t)
  const config = loadConfig({ NANOCLAW_HOME: root, BACKUP_FOLDER: '/backups' }, '/home/x')
  const rules = mountRules(config)
  assert.deepEqual(rules.own, [PROJECT, root, path.dirname(config.paths.runs), '/home/x/.claude', '/backups'])
  assert.deepEqual([rules.allowlistFile, rules.userHome], ['/home/x/.config/nanoclaw/mount-allowlist.json', '/home/x'])
  assert.deepEqual([rules.uid, rules.gid], [process.getuid?.(), process.getgid?.()])
  assert.equal(mountRules(loadConfig({ NANOCLAW_HOME: root }, '/home/x')).own.length, 4)
})

test('a .env that is there and cannot be read is told, and not taken for a missing one', (t) => {
  const root = temporaryFolder(t)
  mkdirSync(path.join(root, '.env'))
  assert.throws(() => loadConfig({ NANOCLAW_HOME: root }), { code: 'config.unreadable', message: /\.env cannot be read: EISDIR/ })
})

test('a root is an absolute path, whatever way it is given', (t) => {
  const root = temporaryFolder(t)
  assert.equal(loadConfig({ NANOCLAW_HOME: path.relative(process.cwd(), root) }).root, root)
  assert.equal(loadConfig({ NANOCLAW_HOME: '' }).root, PROJECT)
})
