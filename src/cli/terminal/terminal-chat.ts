import { setTimeout as delay } from 'node:timers/promises'
import type { ReadStream, WriteStream } from 'node:tty'
import { type ChatClient, ChatLink } from './chat-link.ts'
import { cleared, emptyEditor, isEmpty, press, remembered } from './editor.ts'
import type { Key } from './keys.ts'
import { liveView, SPINNER_STEP_MS } from './live-view.ts'
import { isTyped, type Look, partingLines, shownLines, titleLines } from './message-view.ts'
import type { Shown } from './room.ts'
import { Screen } from './screen.ts'
import { type Style, styleFor } from './style.ts'
import { Terminal } from './terminal.ts'

const LAST_SEND_WITHIN_MS = 3_000
const CLEAR_SCREEN = '\u001b[2J\u001b[H'

/** The interactive chat: keys in, frames out. What they mean and how they look is decided elsewhere. */
export class TerminalChat {
  readonly #title: string
  readonly #style: Style
  readonly #terminal: Terminal
  readonly #link: ChatLink
  readonly #screen = new Screen()
  /** Resolves when the user leaves; rejects with what must not happen. */
  readonly #end = Promise.withResolvers<void>()
  #editor = emptyEditor
  #hint = ''
  /** What the next frame prints for good. */
  #unprinted: string[] = []
  #frame: NodeJS.Immediate | undefined
  #spinner: NodeJS.Timeout | undefined

  constructor({
    client,
    jid,
    input,
    output,
    title,
  }: {
    client: ChatClient
    jid: string
    input: ReadStream
    output: WriteStream
    title: string
  }) {
    this.#title = title
    this.#style = styleFor(output)
    this.#terminal = new Terminal({
      input,
      output,
      listener: {
        key: (key) => this.#key(key),
        resized: () => this.#schedule(),
        continued: () => this.#redraw(),
        gone: () => this.#end.resolve(),
      },
    })
    this.#link = new ChatLink({
      client,
      jid,
      listener: { changed: (shown) => this.#changed(shown), failed: (error) => this.#end.reject(error) },
    })
  }

  /** Until the user leaves. The terminal is touched only when the host has answered, and given back in any case. */
  async run(signal: AbortSignal): Promise<void> {
    const leaving = new AbortController()
    const ended = AbortSignal.any([signal, leaving.signal])
    signal.addEventListener('abort', () => this.#end.resolve(), { once: true })
    this.#unprinted = titleLines(this.#title, this.#look())
    const events = await this.#link.connect(ended)
    this.#terminal.open()
    try {
      this.#draw()
      await Promise.race([this.#end.promise, this.#link.stay(events, ended)])
      await Promise.race([this.#link.delivered(), delay(LAST_SEND_WITHIN_MS, undefined, { ref: false })])
    } finally {
      leaving.abort()
      this.#close()
    }
  }

  #key(key: Key): void {
    this.#hint = ''
    switch (key.name) {
      case 'interrupt':
        return this.#interrupt()
      case 'end-of-input':
        return isEmpty(this.#editor) ? this.#end.resolve() : this.#edit(key)
      case 'redraw':
        this.#terminal.write(CLEAR_SCREEN)
        return this.#redraw()
      case 'suspend':
        this.#terminal.write(this.#screen.clear(this.#terminal.columns))
        return this.#terminal.suspend()
      default:
        return this.#edit(key)
    }
  }

  #redraw(): void {
    this.#screen.forget()
    this.#schedule()
  }

  #edit(key: Key): void {
    const { editor, submitted } = press(this.#editor, key)
    this.#editor = editor
    if (submitted !== undefined) this.#link.say(submitted)
    this.#schedule()
  }

  /** Ctrl-C stops the turn; without one it clears the input. */
  #interrupt(): void {
    const stopped = this.#link.stop().then((stopped) => {
      if (stopped) return
      this.#editor = cleared(this.#editor)
      this.#hint = 'Ctrl-D leaves'
      this.#schedule()
    })
    stopped.catch((error) => this.#end.reject(error))
  }

  #changed(shown: readonly Shown[]): void {
    for (const one of shown) {
      if (one.type === 'message' && isTyped(one.message)) this.#editor = remembered(this.#editor, one.message.text)
      this.#unprinted.push(...shownLines(one, this.#look()))
    }
    this.#schedule()
  }

  #look(): Look {
    return { columns: this.#terminal.columns, rows: this.#terminal.rows, style: this.#style, now: Date.now() }
  }

  /** However much happens at once, it is one frame. */
  #schedule(): void {
    this.#frame ??= setImmediate(() => this.#draw())
  }

  #draw(): void {
    this.#frame = undefined
    if (!this.#terminal.isOpen) return
    const { room } = this.#link
    const live = liveView({ room, editor: this.#editor, hint: this.#hint, look: this.#look() })
    this.#terminal.write(this.#screen.frame({ above: this.#unprinted, live, columns: this.#terminal.columns }))
    this.#unprinted = []
    this.#spin(room.online && room.work.state === 'running')
  }

  #spin(busy: boolean): void {
    if (busy) this.#spinner ??= setInterval(() => this.#schedule(), SPINNER_STEP_MS)
    else {
      clearInterval(this.#spinner)
      this.#spinner = undefined
    }
  }

  /** Leaves the chat on the screen, and says what goes on without us. */
  #close(): void {
    clearImmediate(this.#frame)
    this.#spin(false)
    const { columns } = this.#terminal
    const last = [...this.#unprinted, ...partingLines(this.#link.room, this.#look())]
    this.#terminal.write(this.#screen.clear(columns) + last.map((line) => `${line}\r\n`).join(''))
    this.#terminal.close()
  }
}
