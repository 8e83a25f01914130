import type { OutcomeEvent } from '@nanoclaw/protocol'
import { activityRow, SPINNER_STEP_MS } from './live-view.ts'
import { emptyRoom, heard, type Room } from './room.ts'
import { type Output, styleFor } from './style.ts'
import { clip, oneLine } from './text.ts'

const ERASE_LINE = '\r\u001b[K'

/** One line that says what the agent does while somebody waits. Only on a terminal; elsewhere it is silent. */
export class ProgressLine {
  readonly #output: Output
  readonly #since = Date.now()
  #room: Room = emptyRoom
  #ticker: NodeJS.Timeout | undefined

  constructor(output: Output) {
    this.#output = output
  }

  show(event: Extract<OutcomeEvent, { type: 'activity' | 'waiting' }>): void {
    const asChatEvent = event.type === 'waiting' ? ({ ...event, type: 'turn', state: 'waiting' } as const) : event
    this.#room = heard(this.#room, asChatEvent, this.#since).room
    if (!this.#output.isTTY) return
    this.#draw()
    this.#ticker ??= setInterval(() => this.#draw(), SPINNER_STEP_MS)
  }

  end(): void {
    if (this.#ticker) this.#output.write(ERASE_LINE)
    clearInterval(this.#ticker)
    this.#ticker = undefined
  }

  #draw(): void {
    const { work } = this.#room
    const columns = this.#output.columns ?? 80
    const style = styleFor(this.#output)
    if (work.state === 'waiting') this.#output.write(ERASE_LINE + style.warning(clip(oneLine(work.why), columns - 1)))
    if (work.state === 'running') this.#output.write(ERASE_LINE + activityRow(work, { now: Date.now(), columns, rows: 1, style }))
  }
}
