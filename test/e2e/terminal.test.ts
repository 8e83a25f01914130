import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { type TestContext, test } from 'node:test'
import { FakeControlHost } from '../fakes/control-host.ts'
import { TmuxTerminal } from '../fakes/tmux.ts'

const ENTRY = path.resolve(import.meta.dirname, '../fakes/chat-entry.ts')
const EMPTY_INPUT = '› Write a message'

type Setup = { columns?: number; rows?: number; env?: Record<string, string>; args?: string[] }

async function fakeHost(t: TestContext): Promise<{ host: FakeControlHost; socketPath: string }> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-tty-'))
  const socketPath = path.join(folder, 'host.sock')
  const host = new FakeControlHost({ socketPath })
  await host.start()
  t.after(async () => {
    await host.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  return { host, socketPath }
}

function startChat(terminal: TmuxTerminal, socketPath: string, ...args: string[]): void {
  // The status is printed apart from the command, so that the command line itself does not look like it.
  terminal.enter([`'${process.execPath}' '${ENTRY}' '${socketPath}'`, ...args, '; echo "left:$?"'].join(' '))
}

/** A chat with a fake host in a real terminal, ready for input. */
async function openChat(
  t: TestContext,
  { args = [], ...setup }: Setup = {},
  prepare: (host: FakeControlHost) => void = () => {},
) {
  const { host, socketPath } = await fakeHost(t)
  prepare(host)
  const terminal = TmuxTerminal.open(t, setup)
  terminal.enter('clear')
  startChat(terminal, socketPath, ...args)
  await terminal.shows(EMPTY_INPUT)
  return { host, terminal }
}

/** The shell has its terminal back: line by line, with echo, and pastes unmarked. */
async function assertRestored(terminal: TmuxTerminal): Promise<void> {
  terminal.enter('clear; stty -a')
  for (const mode of [/[^-]icanon/, /[^-]isig/, /[^-]icrnl/, /[^-]opost/, /[^-]echoe/]) await terminal.shows(mode)
  terminal.enter('clear')
  terminal.paste('echo pas""ted')
  await terminal.shows((screen) => screen.includes('$ echo pas""ted') && !screen.includes('200~'))
}

test('the chat shows its history, sends a message, shows what the agent does, and then the answer', async (t) => {
  const { host, terminal } = await openChat(t, {}, (host) => {
    host.add({ text: 'good morning' })
    host.add({ text: 'Good **morning**!', sender: 'Andy' })
  })
  assert.match(
    terminal.screen(),
    /Andy\nEnter sends .*Ctrl-D leaves\n\n› good morning\n\nAndy \d\d:\d\d\nGood morning!\n\n› Write/,
  )

  terminal.enter('list the files')
  await terminal.shows(/› list the files\n\n· Sent\n› Write/)
  host.emit({ type: 'turn', state: 'running' })
  host.emit({ type: 'activity', kind: 'tool', detail: 'Bash: ls -la' })
  await terminal.shows(/[⠀-⣿] \d+s Bash: ls -la\n› Write/)
  host.emit({ type: 'activity', kind: 'text', detail: 'There are **two** f' })
  await terminal.shows(/There are two f\n\n[⠀-⣿] \d+s Writing\n› Write/)

  host.answer('There are **two** files:\n- `a.txt`\n- `b.txt`')
  await terminal.shows(/Andy \d\d:\d\d\nThere are two files:\n• a\.txt\n• b\.txt\n\n› Write/)
  assert.doesNotMatch(terminal.screen(), /Writing|two f$/m)
  assert.deepEqual(host.posted, ['list the files'])
})

test('Ctrl-D on an empty input leaves, and the shell has its terminal back', async (t) => {
  const { terminal } = await openChat(t)
  terminal.type('x')
  terminal.press('Left', 'C-d')
  await terminal.shows(EMPTY_INPUT)
  terminal.press('C-d')
  await terminal.shows('left:0')
  assert.doesNotMatch(terminal.screen(), /Write a message/)
  await assertRestored(terminal)
})

test('a message typed right before leaving is still sent', async (t) => {
  const { host, terminal } = await openChat(t)
  terminal.press('b', 'y', 'e', 'Enter', 'C-d')
  await terminal.shows('left:0')
  assert.deepEqual(host.posted, ['bye'])
  assert.doesNotMatch(terminal.screen(), /Not sent/)
})

test('a paste of many lines is shown compactly and sent as one message by Enter', async (t) => {
  const { host, terminal } = await openChat(t)
  terminal.type('look: ')
  terminal.paste('one\n  two\nthree\nfour\nfive')
  await terminal.shows(/› look: \[5 lines pasted\]$/m)
  assert.deepEqual(host.posted, [])
  terminal.enter(' ok?')
  await terminal.shows(/› look: one\n {4}two\n {2}three[\s\S]*· Sent/)
  assert.deepEqual(host.posted, ['look: one\n  two\nthree\nfour\nfive ok?'])
})

test('new lines, cursor keys and earlier inputs work, with wide characters too', async (t) => {
  const { host, terminal } = await openChat(t)
  terminal.type('漢字👍x')
  await terminal.shows('› 漢字👍x')
  await terminal.shows(() => terminal.cursorColumn() === 9)
  terminal.press('Left', 'Left', 'Left')
  terminal.type('é')
  await terminal.shows('› 漢é字👍x')
  await terminal.shows(() => terminal.cursorColumn() === 5)
  terminal.press('End')
  terminal.type('\\')
  terminal.press('Enter')
  terminal.type('second')
  terminal.press('M-Enter')
  terminal.type('third')
  await terminal.shows(/› 漢é字👍x\n {2}second\n {2}third$/m)
  terminal.press('Enter')
  await terminal.shows(EMPTY_INPUT)
  terminal.enter('another')
  await terminal.shows(/› another\n\n· Sent\n› Write/)
  terminal.press('Up', 'Up')
  await terminal.shows(/› 漢é字👍x\n {2}second\n {2}third\s*$/)
  terminal.press('Down', 'Down')
  await terminal.shows(EMPTY_INPUT)
  assert.deepEqual(host.posted, ['漢é字👍x\nsecond\nthird', 'another'])
})

test('Ctrl-C stops the turn; without one it clears the input and says how to leave', async (t) => {
  const { host, terminal } = await openChat(t)
  terminal.type('never mind')
  await terminal.shows('› never mind')
  terminal.press('C-c')
  await terminal.shows(/› Write a message\nCtrl-D leaves/)
  assert.equal(host.stops, 0)

  host.stoppable = true
  host.emit({ type: 'turn', state: 'running' })
  await terminal.shows(/\ds Starting/)
  terminal.type('half a thought')
  terminal.press('C-c')
  await terminal.shows(/\ds Stopping…\n› half a thought/)
  await terminal.shows(() => host.stops === 1)
  host.emit({ type: 'turn', state: 'stopped' })
  await terminal.shows(/· Stopped\.\n\n› half a thought/)
})

test('why a turn waits or failed is said', async (t) => {
  const { host, terminal } = await openChat(t)
  host.emit({ type: 'turn', state: 'waiting', detail: 'The usage limit is reached.' })
  await terminal.shows(/· The usage limit is reached\.\n› Write/)
  host.emit({ type: 'turn', state: 'failed', detail: 'I gave up.' })
  await terminal.shows(/! I gave up\.\n\n› Write/)
})

test('what another terminal says in the same chat appears in both', async (t) => {
  const { host, socketPath } = await fakeHost(t)
  const terminals = [TmuxTerminal.open(t), TmuxTerminal.open(t)] as const
  for (const terminal of terminals) startChat(terminal, socketPath)
  for (const terminal of terminals) await terminal.shows(EMPTY_INPUT)
  terminals[1].type('in the middle of writing')
  terminals[0].enter('hello from the first')
  await terminals[1].shows(/› hello from the first\n\n[\s\S]*› in the middle of writing/)
  host.answer('Hello, both.')
  for (const terminal of terminals) await terminal.shows('Hello, both.')
})

test('a lost connection is said, and a message typed meanwhile is sent once it is back', async (t) => {
  const { host, terminal } = await openChat(t)
  await host.stop()
  await terminal.shows('! The connection to NanoClaw is lost')
  terminal.enter('are you there?')
  await terminal.shows(/› are you there\? \(not sent yet\)\n› Write/)
  host.add({ text: 'said meanwhile', sender: 'Andy' })
  await host.start()
  await terminal.shows(/said meanwhile\n\n› are you there\?\n\n· Sent\n› Write/)
  assert.doesNotMatch(terminal.screen(), /lost|not sent yet/)
  assert.deepEqual(host.posted, ['are you there?'])
})

test('who leaves before a message could be sent is told which', async (t) => {
  const { host, terminal } = await openChat(t)
  await host.stop()
  await terminal.shows('is lost')
  terminal.enter('precious words')
  await terminal.shows('(not sent yet)')
  terminal.press('C-d')
  await terminal.shows(/! Not sent: precious words\n\nleft:0/)
})

test('an answer cannot drive the terminal, be it new, streamed, in the history or in the name of a tool', async (t) => {
  const evil = '\u001b[2J\u001b[H\u001b]0;owned\u0007\u001b]52;c;b3duZWQ=\u0007\u009b2J\u001b[?1049h\r\b\u001bc'
  const { host, terminal } = await openChat(t, {}, (host) => {
    host.add({ text: 'first line' })
    host.add({ text: `old${evil}answer`, sender: `An${evil}dy` })
  })
  host.emit({ type: 'turn', state: 'running' })
  host.emit({ type: 'activity', kind: 'tool', detail: `Bash: x${evil}y` })
  await terminal.shows(/Bash: x.*y\n› Write/)
  host.emit({ type: 'activity', kind: 'text', detail: `so${evil}far` })
  await terminal.shows('Writing')
  host.answer(`new${evil}answer`)
  await terminal.shows((screen) => !screen.includes('Writing'))
  const screen = terminal.screen()
  assert.match(screen, /› first line\n[\s\S]*old[\s\S]*answer\n[\s\S]*new[\s\S]*answer\n[\s\S]*› Write/)
  assert.notEqual(terminal.title(), 'owned')
})

test('when the terminal is resized, the input stays whole and nothing of the chat is lost', async (t) => {
  const said = Array.from({ length: 15 }, (_, i) => `message ${i}.`)
  const { host, terminal } = await openChat(t, { columns: 80, rows: 24 }, (host) => said.map((text) => host.add({ text })))
  const text = `start ${'word '.repeat(20)}end`
  terminal.type(text)
  await terminal.shows(/word end$/m)
  host.emit({ type: 'turn', state: 'waiting', detail: 'Because of something longer than a narrow terminal.' })
  await terminal.shows('Because')
  for (const [columns, rows] of [
    [30, 20],
    [100, 10],
    [24, 12],
    [80, 24],
  ] as const) {
    terminal.resize({ columns, rows })
    const isDrawnAgain = (screen: string) => screen.split('\n').includes(`› ${text}`.slice(0, columns - 1).trimEnd())
    const isWhole = (screen: string) => screen.replace(/\s/g, '').includes(`›${text.replace(/\s/g, '')}`)
    const screen = await terminal.shows((screen) => isDrawnAgain(screen) && isWhole(screen))
    for (const once of ['start', 'Because']) assert.equal(screen.split(once).length, 2, screen)
  }
  const everything = terminal.scrollback()
  for (const text of said) assert.equal(everything.split(text).length, 2, `${text} in ${everything}`)
})

test('there are colours on a terminal, and none where they are not wanted', async (t) => {
  const coloured = await openChat(t, {}, (host) => host.add({ text: '**bold** `code`', sender: 'Andy' }))
  assert.ok(coloured.terminal.screen({ colours: true }).includes('\u001b[1m'))
  const plain = await openChat(t, { env: { NO_COLOR: '1' } }, (host) => host.add({ text: '**bold** `code`', sender: 'Andy' }))
  const screen = plain.terminal.screen({ colours: true })
  assert.match(screen, /bold `code`/)
  assert.ok(!screen.includes('\u001b['))
})

test('Ctrl-Z gives the terminal to the shell and takes it back', async (t) => {
  const { terminal } = await openChat(t)
  terminal.type('unfinished')
  await terminal.shows('› unfinished')
  terminal.press('C-z')
  await terminal.shows(/Stopped/)
  terminal.enter('echo in the sh""ell')
  await terminal.shows('in the shell')
  terminal.enter('fg')
  await terminal.shows(/fg\n[\s\S]*› unfinished/)
  terminal.type('!')
  await terminal.shows('› unfinished!')
})

test('a terminated chat gives the terminal back', async (t) => {
  const { terminal } = await openChat(t)
  terminal.type('x')
  await terminal.shows('› x')
  process.kill(terminal.foregroundPid(), 'SIGTERM')
  await terminal.shows(/left:\d/)
  await assertRestored(terminal)
})

test('a chat that crashes gives the terminal back', async (t) => {
  const { terminal } = await openChat(t, { args: ['crash'] })
  process.kill(terminal.foregroundPid(), 'SIGUSR2')
  await terminal.shows(/a bug[\s\S]*left:\d/)
  await assertRestored(terminal)
})

test('without a host, the chat says so and does not touch the terminal', async (t) => {
  const terminal = TmuxTerminal.open(t)
  startChat(terminal, '/nowhere/host.sock')
  await terminal.shows(/NanoClaw is not running; start it with \.\/nanoclaw start\n[\s\S]*left:3/)
  await assertRestored(terminal)
})

/** The chat with pipes instead of a terminal. */
async function piped(socketPath: string, input: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [ENTRY, socketPath], { stdio: 'pipe' })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => (stdout += chunk))
  child.stderr.on('data', (chunk) => (stderr += chunk))
  child.stdin.end(input)
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, stdout, stderr }
}

test('without a terminal, lines are answered one after another, plainly', async (t) => {
  const { host, socketPath } = await fakeHost(t)
  host.add({ text: 'old' })
  host.onPosted = ({ text }) => host.answer(`**${text}**, you say`)
  const result = await piped(socketPath, 'one\ntwo')
  assert.deepEqual(result, { code: 0, stdout: '**one**, you say\n**two**, you say\n', stderr: '' })
})

test('without a terminal, a failed turn is told on stderr', async (t) => {
  const { host, socketPath } = await fakeHost(t)
  host.onPosted = ({ seq }) => host.settle(seq, { type: 'failed', message: 'No login.' })
  assert.deepEqual(await piped(socketPath, 'one\n'), { code: 1, stdout: '', stderr: 'No login.\n' })
})
