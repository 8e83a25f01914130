import type { RegisteredChat } from './group.ts'
import type { Message } from './message.ts'
import type { SenderJudge } from './senders.ts'

/**
 * Which messages of a chat call the assistant. All that is unanswered up to the newest of them makes the next turn, so that
 * what was said in between is context. The assistant's own words never call it, nor do those of a sender who is not heard.
 */
export function callsOf({ chat, isMain, assistantName, judge }: Calling): (message: Message) => boolean {
  const calls = isMain || !chat.requiresTrigger ? () => true : triggerOf(chat.trigger ?? `@${assistantName}`)
  return (message) => !message.fromAssistant && calls(message.text) && judge(message, { isMain }).type === 'heard'
}

export type Calling = {
  chat: Pick<RegisteredChat, 'trigger' | 'requiresTrigger'>
  isMain: boolean
  assistantName: string
  judge: SenderJudge
}

const LONGEST_TRIGGER = 100

/** Why these words cannot call the assistant, or undefined when they can. */
export function triggerProblem(trigger: string): string | undefined {
  const words = compared(trigger)
  if (!/[\p{L}\p{N}\p{P}\p{S}]/u.test(words)) return 'a trigger needs at least one character that can be seen'
  if (words.length > LONGEST_TRIGGER) return `a trigger has at most ${LONGEST_TRIGGER} characters`
  return undefined
}

/** A trigger stands in front; this is how far behind markers and blanks it is looked for. */
export const LOOKED_AT = 4_000
const ZERO_WIDTH_SPACE = '\u200b'
const BLANKS = /^[\s\u200b]+/u
/** What a channel puts in front of a caption, such as `[Photo]` or `[Image: a [b].png]`: brackets in two levels. */
const MARKER = /^\[(?:[^[\]]|\[[^[\]]*\])*\]/u

/**
 * Does a text start with the trigger, after blanks and markers such as `[Photo]`? How it is written does not matter:
 * case, accents in one or two characters, wide letters, characters without width. The name must end there.
 */
export function triggerOf(trigger: string): (text: string) => boolean {
  const words = wordsBehind(trigger)
  return (text) => words(text) !== undefined
}

/** What stands behind the trigger, as it is compared; undefined where a text does not start with it. */
export function wordsBehind(trigger: string): (text: string) => string | undefined {
  const name = compared(trigger)
  if (name === '') return () => undefined
  const pattern = new RegExp(`^${[...name].map(escaped).join(`${ZERO_WIDTH_SPACE}*`)}`, 'u')
  return (text) => {
    for (let rest = comparable(text.slice(0, LOOKED_AT)).replace(BLANKS, ''); ; ) {
      const called = pattern.exec(rest)
      const words = called && rest.slice(called[0].length)
      if (words !== null && nameEnds(name, words)) return words
      const marker = MARKER.exec(rest)
      if (!marker) return undefined
      rest = rest.slice(marker[0].length).replace(BLANKS, '')
    }
  }
}

/** What a text says behind the blanks and markers in front, as it is compared. */
export function behindMarkers(text: string): string {
  let rest = comparable(text).replace(BLANKS, '')
  for (let marker = MARKER.exec(rest); marker; marker = MARKER.exec(rest)) rest = rest.slice(marker[0].length).replace(BLANKS, '')
  return rest
}

/** A few words as they are compared with others: what looks the same is the same, and nothing unseen is left. */
export function compared(words: string): string {
  return comparable(words).replaceAll(ZERO_WIDTH_SPACE, '').trim()
}

function escaped(character: string): string {
  return character.replace(/[.*+?^${}()|[\]\\/]/, '\\$&')
}

const SPACELESS =
  '\\p{scx=Han}\\p{scx=Hira}\\p{scx=Kana}\\p{scx=Bopo}\\p{scx=Thai}\\p{scx=Laoo}\\p{scx=Khmr}\\p{scx=Mymr}\\p{scx=Tibt}'
const ENDS_SPACELESS = new RegExp(`[${SPACELESS}]\\p{M}*$`, 'u')
const STARTS_SPACELESS = new RegExp(`^[${SPACELESS}]`, 'u')
const ENDS_HANGUL = /\p{scx=Hang}$/u
const STARTS_HANGUL = /^\p{scx=Hang}/u
const ENDS_IN_WORD = /[\p{L}\p{M}\p{N}_]$/u
const STARTS_IN_WORD = /^[\p{L}\p{N}_]/u
/** These belong to the character before them: an accent, a joined emoji, a skin colour. */
const CONTINUES_CHARACTER = /^[\p{M}\p{EMod}\u200d]/u

/**
 * Does a name end where `rest` begins? Always before something that is no letter or digit. Scripts without spaces
 * (Han, Thai, ...) do not mark where a name ends, so every next character may follow, and theirs may follow a name in
 * another script; so may Korean, whose particles are written without a space.
 */
function nameEnds(name: string, rest: string): boolean {
  if (CONTINUES_CHARACTER.test(rest)) return false
  if (!ENDS_IN_WORD.test(name) || !STARTS_IN_WORD.test(rest)) return true
  if (ENDS_SPACELESS.test(name) || STARTS_SPACELESS.test(rest)) return true
  return STARTS_HANGUL.test(rest) && !ENDS_HANGUL.test(name)
}

/** Marks of direction, variation selectors and joiners: nobody sees them, and platforms put them around mentions. */
const UNSEEN = /(?![\u200b\u200d])\p{DI}/gu
/** Between emojis a joiner makes one picture of several; elsewhere it is only a matter of looks. */
const JOINER = /(?<![\p{ExtPict}\p{EMod}])\u200d|\u200d(?!\p{ExtPict})/gu

/** A text as it is compared: what looks the same is the same. Zero-width spaces stay, because they end a word. */
function comparable(text: string): string {
  const seen = text.replace(UNSEEN, '').replace(JOINER, '')
  return caseless(seen.normalize('NFKC')).normalize('NFKC').replace(/\s+/gu, ' ')
}

/**
 * Equal for all ways to write a letter in upper and lower case. One conversion is not enough: `ß` and `ẞ` are `SS` in
 * capitals, a final sigma is another letter, and all four Turkish i are one (in capitals, I is both i and ı).
 */
function caseless(text: string): string {
  return text.toLowerCase().toUpperCase().toLowerCase().replaceAll('ς', 'σ').replaceAll('i\u0307', 'i')
}
