import { paintedWidth } from './text.ts'

/** The rows at the bottom that are drawn again and again, and where the cursor stands: behind `before` in row `row`. */
export type Live = { rows: string[]; cursor: { row: number; before: string } }

const BEGIN = '\u001b[?2026h\u001b[?25l'
const END = '\u001b[?25h\u001b[?2026l'
/** Rows are cut at the edge instead of wrapped, so that a row is a row also where widths are disputed. */
const CUT = '\u001b[?7l'
const WRAP = '\u001b[?7h'
const ERASE_BELOW = '\u001b[J'

/**
 * What was said scrolls away above, the live rows stay below it. Knows only what it drew last; returns what to write.
 */
export class Screen {
  #drawn: { widths: number[]; row: number; column: number } | undefined
  #last = { drawing: '', columns: 0 }

  /** `above` is printed for good. Empty if nothing has to change. */
  frame({ above, live, columns }: { above: readonly string[]; live: Live; columns: number }): string {
    const drawing = draw(live)
    const isSame = drawing === this.#last.drawing && columns === this.#last.columns
    if (above.length === 0 && this.#drawn && isSame) return ''
    const erase = this.#erase(columns)
    this.#last = { drawing, columns }
    this.#drawn = {
      widths: live.rows.map((row) => Math.min(paintedWidth(row), columns)),
      row: live.cursor.row,
      column: Math.min(paintedWidth(live.cursor.before), columns - 1),
    }
    return BEGIN + erase + above.map((line) => `${line}\r\n`).join('') + drawing + END
  }

  /** Removes the live rows; the cursor is where they began. */
  clear(columns: number): string {
    const erase = this.#erase(columns)
    this.#drawn = undefined
    return erase
  }

  /** The next frame draws everything, on whatever is there now. */
  forget(): void {
    this.#drawn = undefined
  }

  /** Terminals wrap what is there when they become narrower, so the rows drawn may be more by now. */
  #erase(columns: number): string {
    if (!this.#drawn) return ''
    const { widths, row, column } = this.#drawn
    const heights = widths.slice(0, row).map((width) => Math.max(Math.ceil(width / columns), 1))
    const up = heights.reduce((sum, height) => sum + height, Math.floor(column / columns))
    return `\r${up > 0 ? `\u001b[${up}A` : ''}${ERASE_BELOW}`
  }
}

/** The cursor is placed by writing what stands before it: so the terminal's own idea of widths counts. */
function draw({ rows, cursor }: Live): string {
  const up = rows.length - 1 - cursor.row
  return `${CUT}${rows.join('\r\n')}${up > 0 ? `\u001b[${up}A` : ''}\r${cursor.before}${WRAP}`
}
