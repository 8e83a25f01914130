import { stripVTControlCharacters } from 'node:util'
import { neutralised } from '../../domain/neutral-text.ts'

/** A terminal's view of text: what one character is, and how many columns it takes. */

/** Without anything that could drive a terminal, and on one line. */
export function oneLine(text: string): string {
  return neutralised(text).replace(/\s+/g, ' ').trim()
}

const segmenter = new Intl.Segmenter(undefined, { granularity: 'grapheme' })
const PLAIN_ASCII = /^[\x20-\x7e]*$/
/** Nothing in here joins with its neighbours, so the slow search for boundaries is not needed. */
const LONE_CHARACTERS = /^[\x20-\x7e\u2018-\u201d\u3000-\u3029\u3041-\u3098\u309b-\u9fff\uff01-\uff60]*$/

/** The characters as a person counts them. */
export function graphemes(text: string): string[] {
  if (LONE_CHARACTERS.test(text)) return text.split('')
  return Array.from(segmenter.segment(text), ({ segment }) => segment)
}

/** The columns that a text takes on one line. */
export function width(text: string): number {
  if (PLAIN_ASCII.test(text)) return text.length
  let columns = 0
  for (const grapheme of graphemes(text)) columns += graphemeWidth(grapheme)
  return columns
}

/** The same for text that our own colours are already in. */
export function paintedWidth(painted: string): number {
  return width(stripVTControlCharacters(painted))
}

const INVISIBLE = /^[\p{Mn}\p{Me}\p{Cf}\p{Cc}\u1160-\u11ff]+$/u
const EMOJI = /^\p{Emoji_Presentation}|\ufe0f/u
/** Half-width forms belong to wide scripts but take one column. */
const HALF_WIDTH = /^[\uff61-\uffdc]/
const WIDE =
  /^[\p{sc=Han}\p{sc=Hangul}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Yi}\p{sc=Tangut}\p{sc=Nushu}\u2ff0-\u303e\u3099-\u33ff\u4dc0-\u4dff\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6]/u

export function graphemeWidth(grapheme: string): 0 | 1 | 2 {
  if (INVISIBLE.test(grapheme)) return 0
  if (EMOJI.test(grapheme)) return 2
  return WIDE.test(grapheme) && !HALF_WIDTH.test(grapheme) ? 2 : 1
}

/** The text on one line of at most `columns`; an ellipsis stands for what does not fit. */
export function clip(text: string, columns: number): string {
  if (width(text) <= columns) return text
  let kept = ''
  let room = columns - 1
  for (const grapheme of graphemes(text)) {
    room -= graphemeWidth(grapheme)
    if (room < 0) break
    kept += grapheme
  }
  return columns > 0 ? `${kept}…` : ''
}
