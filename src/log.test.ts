import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, realpathSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { noOpenFiles, openFilesIn } from '../test/fakes/open-files.ts'
import { temporaryFolder } from '../test/fakes/rooms.ts'
import { type Config, loadConfig } from './config.ts'
import { AppError } from './domain/errors.ts'
import { openLog } from './log.ts'

const NOON = Date.UTC(2026, 0, 31, 12)

/** A log in a folder of its own whose clock stands still, with what its files hold. */
function logIn(t: TestContext, env: Record<string, string> = {}) {
  t.mock.timers.enable({ apis: ['Date'], now: NOON })
  const root = temporaryFolder(t)
  const config = loadConfig({ NANOCLAW_HOME: root, ...env })
  const log = openLog({ config, redact: (text) => text.replaceAll('s3cret', '[redacted]'), echo: false })
  const text = (name: string) => readFileSync(path.join(root, 'logs', name), 'utf8')
  return { root, log, main: () => text('nanoclaw.log'), errors: () => text('nanoclaw.error.log') }
}

test('a line has its time in UTC, its level and its words, and errors are in a file of their own too', (t) => {
  const { log, main, errors } = logIn(t, { LOG_LEVEL: 'debug' })
  for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level](`a ${level}`)
  log.close()
  const error = '2026-01-31T12:00:00.000Z ERROR a error\n'
  assert.equal(
    main(),
    `2026-01-31T12:00:00.000Z DEBUG a debug\n2026-01-31T12:00:00.000Z INFO  a info\n2026-01-31T12:00:00.000Z WARN  a warn\n${error}`,
  )
  assert.equal(errors(), error)
})

test('lines below the level of the settings are left out', (t) => {
  const { log, main } = logIn(t, { LOG_LEVEL: 'warn' })
  for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level](level)
  log.close()
  assert.match(main(), /^\S+ WARN {2}warn\n\S+ ERROR error\n$/)
})

test('in the JSON format, each entry is one object on one line', (t) => {
  const { log, main, errors } = logIn(t, { LOG_FORMAT: 'json' })
  log.info('two\nlines')
  log.error('bad')
  log.close()
  const lines = main().trimEnd().split('\n')
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    [
      { level: 30, time: NOON, msg: 'two\nlines' },
      { level: 50, time: NOON, msg: 'bad' },
    ],
  )
  assert.equal(errors(), `${lines[1]}\n`)
})

test('secrets and terminal control sequences are removed at every level', (t) => {
  for (const format of ['text', 'json']) {
    const { log, main } = logIn(t, { LOG_LEVEL: 'debug', LOG_FORMAT: format })
    for (const level of ['debug', 'info', 'warn', 'error'] as const) log[level]('with s3cret and \x1b[2J')
    log.close()
    assert.equal(main().match(/with \[redacted\] and/g)?.length, 4)
    assert.ok(!main().includes('\x1b') && !main().includes('\\u001b'), main())
    assert.equal(log.redact('s3cret'), '[redacted]')
    t.mock.timers.reset()
  }
})

test('further lines of an entry are indented, so that none looks like an entry of its own', (t) => {
  const { log, main } = logIn(t)
  log.warn('one\n2026-01-31T12:00:00.000Z ERROR forged\nthree')
  log.close()
  assert.equal(main(), '2026-01-31T12:00:00.000Z WARN  one\n  2026-01-31T12:00:00.000Z ERROR forged\n  three\n')
})

test('the logs are readable by their owner alone', (t) => {
  const { root, log } = logIn(t)
  log.close()
  for (const name of ['nanoclaw.log', 'nanoclaw.error.log'])
    assert.equal(statSync(path.join(root, 'logs', name)).mode & 0o077, 0, name)
})

test('a log that is closed holds no file open', { skip: noOpenFiles }, (t) => {
  const { root, log } = logIn(t)
  assert.equal(openFilesIn(realpathSync(root)).length, 2)
  log.close()
  assert.deepEqual(openFilesIn(realpathSync(root)), [])
})

/** The error of a log that cannot be opened. */
function refusal(root: string): AppError {
  const config: Config = loadConfig({ NANOCLAW_HOME: root })
  try {
    openLog({ config, redact: (text) => text, echo: false }).close()
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  return assert.fail('it was opened')
}

test('a root that cannot hold the logs, and a link in place of one, are told to a person', (t) => {
  const root = temporaryFolder(t)
  writeFileSync(path.join(root, 'logs'), '')
  const noFolder = refusal(root)
  assert.deepEqual([noFolder.code, noFolder.fault], ['config.root', 'user'])
  assert.match(noFolder.message, /logs cannot be made \(EEXIST.*NanoClaw keeps its state in .+: it must be able to write there/)
  for (const name of ['nanoclaw.log', 'nanoclaw.error.log']) {
    const home = path.join(root, name)
    mkdirSync(path.join(home, 'logs'), { recursive: true })
    symlinkSync('/dev/null', path.join(home, 'logs', name))
    const { code, message } = refusal(home)
    assert.equal(code, 'config.log')
    assert.match(message, new RegExp(`logs/${name.replaceAll('.', '\\.')} cannot be written \\(ELOOP`))
  }
})

/** What a process prints whose log has these words, with its stdout going to a pipe or to a file. */
const SPEAKER = (echo: boolean) => `
  import { loadConfig } from ${JSON.stringify(path.join(import.meta.dirname, 'config.ts'))}
  import { openLog } from ${JSON.stringify(path.join(import.meta.dirname, 'log.ts'))}
  const log = openLog({ config: loadConfig(process.env), redact: (text) => text, echo: ${echo} })
  log.info('hello')
  log.close()`

function speak(root: string, { echo, stdout }: { echo: boolean; stdout: 'pipe' | number }): string {
  const args = ['--input-type=module-typescript', '-e', SPEAKER(echo)]
  const env = { ...process.env, NANOCLAW_HOME: root, LOG_LEVEL: 'info', LOG_FORMAT: 'text' }
  return String(execFileSync(process.execPath, args, { env, stdio: ['ignore', stdout, 'inherit'] }) ?? '')
}

test('a log is repeated on the console where that is asked for, unless the console is the log', (t) => {
  const root = temporaryFolder(t)
  const file = path.join(root, 'logs', 'nanoclaw.log')
  assert.match(speak(root, { echo: true, stdout: 'pipe' }), /^\S+ INFO {2}hello\n$/)
  assert.equal(speak(root, { echo: false, stdout: 'pipe' }), '')
  assert.equal(readFileSync(file, 'utf8').match(/hello/g)?.length, 2)
  const descriptor = openSync(file, 'a')
  t.after(() => closeSync(descriptor))
  speak(root, { echo: true, stdout: descriptor })
  assert.equal(readFileSync(file, 'utf8').match(/hello/g)?.length, 3)
})

/** Puts a device in the place of a file that is always full; returns whether this machine can. */
function placeFullDevice(file: string): boolean {
  try {
    execFileSync('mknod', [file, 'c', '1', '7'], { stdio: 'ignore' })
    closeSync(openSync(file, 'a'))
    return true
  } catch {
    return false
  }
}

test('a disk without room costs log lines, and nothing else', (t) => {
  const root = temporaryFolder(t)
  mkdirSync(path.join(root, 'logs'))
  const full = path.join(root, 'logs', 'nanoclaw.log')
  if (!placeFullDevice(full)) return t.skip('only root can make a device, and not on every file system')
  assert.throws(() => writeFileSync(full, 'x'), { code: 'ENOSPC' })
  const log = openLog({ config: loadConfig({ NANOCLAW_HOME: root }), redact: (text) => text, echo: false })
  log.info('hello')
  log.error('hello')
  log.close()
  assert.match(readFileSync(path.join(root, 'logs', 'nanoclaw.error.log'), 'utf8'), /hello/, 'the other log has its line')
})

test('a log whose lines cannot be cleaned of secrets writes none of them, and says so when it can again', (t) => {
  const root = temporaryFolder(t)
  let broken = true
  const redact = (text: string) => {
    if (broken) throw new Error('the list is broken')
    return text
  }
  const log = openLog({ config: loadConfig({ NANOCLAW_HOME: root }), redact, echo: false })
  log.error('s3cret')
  broken = false
  log.error('hello')
  log.close()
  for (const name of ['nanoclaw.log', 'nanoclaw.error.log']) {
    const text = readFileSync(path.join(root, 'logs', name), 'utf8')
    assert.match(text, /^\S+ ERROR 1 line was lost here: the list is broken\n\S+ ERROR hello\n$/)
  }
})

test('a line that comes after the end of the log is lost, and nothing else happens', (t) => {
  const { log, main } = logIn(t)
  log.close()
  log.close()
  log.error('late')
  assert.equal(main(), '')
})

test('a console that is gone costs its lines, and no line of the log', (t) => {
  const root = temporaryFolder(t)
  const program = `${SPEAKER(true).replace("log.info('hello')", "for (let n = 0; n < 200; n++) { log.info('hello ' + n); await new Promise(setImmediate) }")}`
  const args = [
    '-c',
    'set -o pipefail; "$@" | head -n 1 >/dev/null',
    'bash',
    process.execPath,
    '--input-type=module-typescript',
    '-e',
    program,
  ]
  const env = { ...process.env, NANOCLAW_HOME: root, LOG_LEVEL: 'info', LOG_FORMAT: 'text' }
  execFileSync('bash', args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  assert.match(readFileSync(path.join(root, 'logs', 'nanoclaw.log'), 'utf8'), /hello 199\n$/)
})
