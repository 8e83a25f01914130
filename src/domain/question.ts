/** The text that asks people to choose. */
export function questionText(question: string, options: readonly string[]): string {
  return [question, '', ...options.map((label, index) => `${index + 1}. ${label}`), '', 'Answer with a number or a label.'].join(
    '\n',
  )
}

const NUMBER = /^#?(\d{1,2})[.)]?$/

/** The label that a message chooses, by its number or by itself, also behind the trigger; undefined when it says something else. */
export function choiceOf(
  text: string,
  { options, trigger }: { options: readonly string[]; trigger: string },
): string | undefined {
  const said = withoutTrigger(text.trim(), trigger)
  const number = NUMBER.exec(said)?.[1]
  const same = options.find((label) => caseless(label) === caseless(said))
  return same ?? (number === undefined ? undefined : options[Number(number) - 1])
}

function withoutTrigger(text: string, trigger: string): string {
  if (!caseless(text).startsWith(caseless(trigger))) return text
  return text.slice(trigger.length).replace(/^[\s,:]+/u, '')
}

function caseless(text: string): string {
  return text.normalize('NFKC').toLowerCase()
}
