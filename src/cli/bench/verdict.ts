/** What became of the turn of a message, by the store. */
export type Fate = {
  state: 'pending' | 'running' | 'done' | 'stopped' | 'failed'
  answers: readonly string[]
  why?: string | null
}
/** Something said in a chat; `words` are in no other message. */
export type Said = { id: string; jid: string; words: string }
/** Something the chat platform showed; `key` is the host's name for this delivery. */
export type Shown = { jid: string; text: string; key: string }

export type Verdict = { lost: string[]; doubled: string[]; givenUp: string[] }

/**
 * Each message must be in a turn that is done and has one answer, and each answer in its chat once. A turn that failed for
 * good has told its chat so, and is counted apart. What comes back names the messages and answers, for whoever looks into it.
 */
export function judge({
  said,
  fateOf,
  shown,
}: {
  said: readonly Said[]
  fateOf: (one: Said) => Fate | undefined
  shown: readonly Shown[]
}): Verdict {
  const fates = said.map((one) => ({ one, fate: fateOf(one) }))
  const answers = fates.flatMap(({ one, fate }) => (fate?.answers ?? []).map((text) => ({ jid: one.jid, text })))
  const missing = answers.filter(({ jid, text }) => !shown.some((show) => show.jid === jid && show.text === text))
  return {
    lost: [
      ...fates
        .filter(({ fate }) => isLost(fate))
        .map(({ one, fate }) => `${one.jid} ${one.words}: ${fate?.state ?? 'never stored'}`),
      ...missing.map(({ jid, text }) => `${jid} ${text}: answered, not delivered`),
    ],
    doubled: [
      ...fates.filter(({ fate }) => (fate?.answers.length ?? 0) > 1).map(({ one }) => `${one.jid} ${one.words}: answered twice`),
      ...repeated(shown.map(({ jid, key, text }) => `${jid} ${key} ${text}`)),
      ...said
        .filter((one) => shown.filter((show) => show.jid === one.jid && says(show.text, one.words)).length > 1)
        .map(({ jid, words }) => `${jid} ${words}: said twice`),
    ],
    givenUp: fates
      .filter(({ fate }) => fate?.state === 'failed')
      .map(({ one, fate }) => `${one.jid} ${one.words}: ${fate?.why ?? 'no reason'}`),
  }
}

function isLost(fate: Fate | undefined): boolean {
  if (fate === undefined) return true
  return fate.state !== 'failed' && (fate.state !== 'done' || fate.answers.length === 0)
}

function says(text: string, words: string): boolean {
  return text.split(/\W+/).includes(words)
}

function repeated(names: readonly string[]): string[] {
  const seen = new Set<string>()
  return names.filter((name) => seen.size === seen.add(name).size)
}
