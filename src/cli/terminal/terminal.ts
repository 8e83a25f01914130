import type { ReadStream, WriteStream } from 'node:tty'
import { decodeKeys, type Key, nothingHeld, type Undecoded } from './keys.ts'

/** A lone Escape means nothing here, and the start of a sequence does not take this long. */
const SEQUENCE_WITHIN_MS = 100

const PASTES_MARKED = '\u001b[?2004h'
const PASTES_UNMARKED = '\u001b[?2004l'
const WRAPPING_AND_CURSOR = '\u001b[?7h\u001b[?25h'

/** Without a handler, these would end the process before it could give the terminal back. */
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export type TerminalListener = {
  key(key: Key): void
  resized(): void
  /** After a pause, in which others may have written on the screen. */
  continued(): void
  /** The terminal went away, or the process shall end. */
  gone(): void
}

/** The terminal in raw mode. However the process ends, short of SIGKILL, it is given back as it was. */
export class Terminal {
  readonly #input: ReadStream
  readonly #output: WriteStream
  readonly #listener: TerminalListener
  readonly #decoder = new TextDecoder()
  #undecoded: Undecoded = nothingHeld
  #forget: NodeJS.Timeout | undefined
  #isOpen = false

  constructor({ input, output, listener }: { input: ReadStream; output: WriteStream; listener: TerminalListener }) {
    this.#input = input
    this.#output = output
    this.#listener = listener
  }

  open(): void {
    this.#raw()
    this.#input.on('data', this.#read).on('end', this.#gone).on('error', this.#gone).resume()
    this.#output.on('resize', this.#resized).on('error', this.#gone)
    process.on('exit', this.#restore).on('SIGCONT', this.#continued)
    for (const name of ENDING) process.on(name, this.#gone)
  }

  close(): void {
    clearTimeout(this.#forget)
    process.off('exit', this.#restore).off('SIGCONT', this.#continued)
    for (const name of ENDING) process.off(name, this.#gone)
    this.#output.off('resize', this.#resized)
    this.#input.off('data', this.#read).off('end', this.#gone).pause()
    this.#restore()
  }

  /** False before it is opened, after it is closed, and while the shell has it. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  get columns(): number {
    return Math.max(this.#output.columns || 80, 1)
  }

  get rows(): number {
    return Math.max(this.#output.rows || 24, 1)
  }

  write(text: string): void {
    if (text !== '') this.#output.write(text)
  }

  /** Ctrl-Z: gives the terminal back to the shell until it continues us. */
  suspend(): void {
    this.#restore()
    // The whole job, as the terminal itself would do it: a launcher script may stand before us.
    process.kill(0, 'SIGTSTP')
  }

  #raw(): void {
    // Off first: after a pause Node believes that the mode is still on.
    this.#input.setRawMode(false).setRawMode(true)
    this.#isOpen = true
    this.write(PASTES_MARKED)
  }

  readonly #restore = (): void => {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.write(PASTES_UNMARKED + WRAPPING_AND_CURSOR)
    this.#input.setRawMode(false)
  }

  readonly #continued = (): void => {
    this.#raw()
    this.#listener.continued()
  }

  readonly #gone = (): void => this.#listener.gone()

  readonly #resized = (): void => this.#listener.resized()

  readonly #read = (chunk: Buffer): void => {
    clearTimeout(this.#forget)
    const { keys, undecoded } = decodeKeys(this.#undecoded, this.#decoder.decode(chunk, { stream: true }))
    this.#undecoded = undecoded
    for (const key of keys) this.#listener.key(key)
    if (undecoded.type === 'keys' && undecoded.held !== '')
      this.#forget = setTimeout(() => {
        this.#undecoded = nothingHeld
      }, SEQUENCE_WITHIN_MS)
  }
}
