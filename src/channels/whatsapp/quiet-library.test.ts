import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { Curve } from 'baileys'
import type { TestContext } from '../../../test/fakes/rooms.ts'
import { libraryLog, muteLibsignal } from './quiet-library.ts'

type Session = { indexInfo: { closed: number }; keys: object }
type Libsignal = {
  SessionRecord: new () => { closeSession(session: Session): void; openSession(session: Session): void }
  curve: { calculateAgreement(publicKey: Buffer, privateKey: Buffer): Buffer }
}

/** The one that Baileys uses. */
const libsignal: Libsignal = createRequire(import.meta.resolve('baileys'))('libsignal')

const METHODS = ['log', 'info', 'warn', 'error', 'debug', 'trace'] as const

/** A console in place of this process's own, and what is said to it. */
function consoleFor(t: TestContext) {
  const said: unknown[][] = []
  const own = globalThis.console
  const methods = Object.fromEntries(METHODS.map((method) => [method, (...words: unknown[]) => said.push([method, ...words])]))
  const target: Console = Object.assign(Object.create(own), methods)
  globalThis.console = target
  t.after(() => {
    globalThis.console = own
  })
  return { target, said }
}

/** Has libsignal print by every method that it uses. */
function letLibsignalPrint(): void {
  const session = { indexInfo: { closed: -1 }, keys: Curve.generateKeyPair() }
  const record = new libsignal.SessionRecord()
  record.closeSession(session)
  record.closeSession(session)
  record.openSession(session)
  const { public: key, private: secret } = Curve.generateKeyPair()
  libsignal.curve.calculateAgreement(Buffer.from(key), Buffer.from(secret))
}

test('libsignal prints nothing once it is muted', (t) => {
  const { target, said } = consoleFor(t)
  letLibsignalPrint()
  assert.deepEqual(
    said.map(([method]) => method),
    ['info', 'warn', 'info', 'error'],
  )
  said.length = 0
  for (let times = 0; times < 2; times++) {
    muteLibsignal(target)
    letLibsignalPrint()
    assert.deepEqual(said, [])
  }
})

test("everybody else's words pass while libsignal is muted", (t) => {
  const { target, said } = consoleFor(t)
  for (let times = 0; times < 2; times++) muteLibsignal(target)
  for (const method of METHODS) console[method](method, 'and', { what: 'ever' })
  assert.deepEqual(
    said,
    METHODS.map((method) => [method, method, 'and', { what: 'ever' }]),
  )
})

test('sentences of Baileys reach the log, and the objects beside them do not', () => {
  const lines: string[] = []
  const note = (level: string) => (text: string) => lines.push(`${level} ${text}`)
  const log = libraryLog({ debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') })
  for (const logger of [log, log.child({ class: 'socket' })]) {
    for (const method of ['warn', 'error'] as const) {
      logger[method]({ key: 'secret' }, `a ${method}`)
      logger[method](`a bare ${method}`)
      logger[method]({ key: 'secret' })
    }
    for (const method of ['trace', 'debug', 'info'] as const) logger[method]({ key: 'secret' }, method)
  }
  const once = ['a warn', 'a bare warn', 'a error', 'a bare error'].map((text) => `debug WhatsApp library: ${text}`)
  assert.deepEqual(lines, [...once, ...once])
})
