import { behindMarkers, compared, LOOKED_AT, wordsBehind } from './routing.ts'

/** The text that asks people to choose. */
export function questionText(question: string, options: readonly string[]): string {
  return [question, '', ...options.map((label, index) => `${index + 1}. ${label}`), '', 'Answer with a number or a label.'].join(
    '\n',
  )
}

/** Also as a key with a digit, which is an emoji. */
const NUMBER = /^#?(\d{1,2})(?:[.)]|\u20e3)?$/
/** What sets an answer off from the trigger: marks and blanks, but not those that begin a number. */
const SET_OFF = /^(?:(?!#|-\d)[\s\p{P}\p{S}])+/u

type Choice = { options: readonly string[]; trigger: string }

/**
 * The label that a message chooses, by its number or by itself, also behind a marker such as `[In reply to ...]` or the trigger;
 * undefined when it says something else. The trigger is found as it is when the assistant is called, so whatever calls it can choose.
 */
export function choiceOf(text: string, { options, trigger }: Choice): string | undefined {
  const bare = text.trim()
  if (bare.length > LOOKED_AT) return undefined
  if (options.includes(bare)) return bare
  const behind = wordsBehind(trigger)(bare)
  const readings = behind === undefined ? [bare, behindMarkers(bare)] : [bare, behind, behind.replace(SET_OFF, '')]
  return readings.map((said) => chosenBy(compared(said), options)).find((label) => label !== undefined)
}

function chosenBy(said: string, options: readonly string[]): string | undefined {
  const number = NUMBER.exec(said)?.[1]
  const same = options.find((label) => compared(label) === said)
  return same ?? (number === undefined ? undefined : options[Number(number) - 1])
}
