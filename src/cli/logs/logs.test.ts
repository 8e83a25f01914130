import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { until } from '../../../test/fakes/patience.ts'
import { loadConfig, PROJECT } from '../../config.ts'
import { openLog } from '../../log.ts'
import { newest } from './command.ts'
import { follow } from './follow.ts'
import { EntryReader, isWanted, type Wish } from './records.ts'

const LOG = `2026-01-31T12:00:00.000Z INFO  NanoClaw 0.1.0 starts
2026-01-31T12:00:01.000Z DEBUG Group main: container nanoclaw-main-1769860801000 with
  groups/main -> /workspace/group
2026-01-31T12:00:02.000Z ERROR Group family: no image
2026-01-31T12:00:03.000Z WARN  Group main-2: its folder is large
`

const cases: { what: string; wish: Wish; lines: string[] }[] = [
  { what: 'everything', wish: {}, lines: ['starts', 'with\n  groups/main -> /workspace/group', 'no image', 'is large'] },
  { what: 'a level and what is graver', wish: { level: 'warn' }, lines: ['no image', 'is large'] },
  { what: 'a group, with the lines below its own', wish: { group: 'main' }, lines: ['with\n  groups/main -> /workspace/group'] },
  { what: 'a group and a level', wish: { group: 'main-2', level: 'warn' }, lines: ['is large'] },
  { what: 'a group that has no entry', wish: { group: 'nobody' }, lines: [] },
]

for (const { what, wish, lines } of cases)
  test(`entries are chosen: ${what}`, () => {
    const reader = new EntryReader()
    const wanted = [...reader.read(LOG), ...reader.rest()].filter((entry) => isWanted(entry, wish))
    assert.deepEqual(
      wanted.map(({ text }) => lines.find((line) => text.endsWith(line))),
      lines,
    )
  })

test('entries that come in pieces are put together', () => {
  const reader = new EntryReader()
  const entries = [...LOG].flatMap((character) => reader.read(character))
  assert.equal([...entries, ...reader.rest()].map(({ text }) => `${text}\n`).join(''), LOG)
})

test('the level of an entry in JSON is known', () => {
  const reader = new EntryReader()
  const entries = reader.read('{"level":50,"time":1,"msg":"broken"}\n{"level":30,"time":1,"msg":"fine"}\n')
  assert.deepEqual(
    [...entries, ...reader.rest()].map(({ level }) => level),
    ['error', 'info'],
  )
})

test('the newest entries reach back into former logs', (t) => {
  const folder = folderFor(t)
  const file = path.join(folder, 'nanoclaw.log')
  writeFileSync(path.join(folder, 'nanoclaw.20260131-110000.log'), LOG)
  writeFileSync(file, '2026-01-31T13:00:00.000Z INFO  newer\n2026-01-31T13:00:00.000Z INFO  after the end\n')
  const texts = newest({ file, end: 37, lines: 2, wish: {} }).map(({ text }) => text)
  assert.deepEqual(texts, [
    '2026-01-31T12:00:03.000Z WARN  Group main-2: its folder is large',
    '2026-01-31T13:00:00.000Z INFO  newer',
  ])
})

test('a log is followed through its rotation, from before there was one', async (t) => {
  const file = path.join(folderFor(t), 'nanoclaw.log')
  const life = new AbortController()
  let seen = ''
  const following = (async () => {
    for await (const piece of follow(file, { from: 0, signal: life.signal })) seen += piece
  })()
  appendFileSync(file, 'one\n')
  await until(() => seen === 'one\n', 'the first line is seen')
  appendFileSync(file, 'two\n')
  renameSync(file, `${file}.old`)
  appendFileSync(`${file}.old`, 'three\n')
  writeFileSync(file, 'four\n')
  await until(() => seen === 'one\ntwo\nthree\nfour\n', 'all of both files is seen, in order')
  life.abort()
  await following
})

test('a unit of older guides, whose stdout is appended to the log, has each line once, also after a rotation', async (t) => {
  const folder = folderFor(t)
  const program = `
    import { openLog } from '${PROJECT}/src/log.ts'
    import { loadConfig } from '${PROJECT}/src/config.ts'
    const log = openLog({ config: loadConfig({ NANOCLAW_HOME: '${folder}' }), redact: (text) => text, echo: true })
    for (let n = 0; n < 12; n++) log.info(n + ' ' + 'x'.repeat(1e6))`
  mkdirSync(path.join(folder, 'logs'))
  const logFile = path.join(folder, 'logs', 'nanoclaw.log')
  const script = `exec '${process.execPath}' --input-type=module-typescript -e "$1" >>'${logFile}'`
  const child = spawn('/bin/sh', ['-c', script, 'sh', program], { stdio: ['ignore', 'inherit', 'inherit'] })
  assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0)
  const numbers = newest({ file: logFile, end: 1e9, lines: 100, wish: {} }).map(({ text }) =>
    Number(/INFO {2}(\d+)/.exec(text)?.[1]),
  )
  assert.deepEqual(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
})

test('what is an error stands in both logs', (t) => {
  const root = folderFor(t)
  const log = openLog({
    config: loadConfig({ NANOCLAW_HOME: root }),
    redact: (text) => text.replace('secret', '***'),
    echo: false,
  })
  log.info('fine')
  log.error('a secret broke')
  log.close()
  assert.match(readFileSync(path.join(root, 'logs', 'nanoclaw.log'), 'utf8'), /INFO {2}fine\n.*ERROR a \*\*\* broke\n$/)
  assert.match(readFileSync(path.join(root, 'logs', 'nanoclaw.error.log'), 'utf8'), /^\S+ ERROR a \*\*\* broke\n$/)
})

const TRICKS = 'a\u001b]52;c;eA==\u0007\u001b[2J\u009b1;1H s3\u001b[0mcret\r2026-01-31T12:00:00.000Z INFO  all is well'
// biome-ignore lint/suspicious/noControlCharactersInRegex: none of them may be left
const CONTROLS = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/

for (const format of ['text', 'json'])
  test(`nothing in a log of ${format} drives a terminal, hides a secret or looks like another entry`, (t) => {
    const root = folderFor(t)
    const config = loadConfig({ NANOCLAW_HOME: root, LOG_FORMAT: format })
    const log = openLog({ config, redact: (text) => text.replace('s3cret', '***'), echo: false })
    log.error(TRICKS)
    log.close()
    const text = readFileSync(path.join(root, 'logs', 'nanoclaw.log'), 'utf8')
    assert.doesNotMatch(text, CONTROLS)
    assert.match(text, /a1;1H \*\*\*/)
    const reader = new EntryReader()
    assert.deepEqual([...reader.read(text), ...reader.rest()].length, 1)
  })

test('the command shows and follows', async (t) => {
  const root = folderFor(t)
  mkdirSync(path.join(root, 'logs'))
  const file = path.join(root, 'logs', 'nanoclaw.log')
  writeFileSync(file, LOG.replace('no image', 'no\u001b[2J image'))
  const env = { ...process.env, NANOCLAW_HOME: root }
  const args = [path.join(PROJECT, 'src', 'cli', 'main.ts'), 'logs', '--follow', '--lines', '1', '--level', 'error']
  const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let shown = ''
  child.stdout.on('data', (text) => (shown += text))
  await until(() => shown.includes('no image'), 'the newest error is shown')
  appendFileSync(file, '2026-01-31T12:00:04.000Z INFO  fine\n2026-01-31T12:00:05.000Z ERROR bro\u001b]0;x\u0007ken\u009b\n')
  await until(() => shown.includes('broken'), 'the next error is shown')
  const gone = new Promise((resolve) => child.on('close', resolve))
  child.kill('SIGINT')
  assert.equal(await gone, 0)
  assert.doesNotMatch(shown, /starts|is large|fine/)
  assert.doesNotMatch(shown, CONTROLS)
})

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-log-'))
  t.after(() => rmSync(folder, { recursive: true }))
  return folder
}
