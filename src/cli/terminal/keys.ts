/** What somebody did on the keyboard. */
export type Key = { name: 'text'; text: string } | { name: 'paste'; text: string } | { name: CommandKey }

export type CommandKey =
  | 'enter'
  | 'newline'
  | 'left'
  | 'right'
  | 'up'
  | 'down'
  | 'home'
  | 'end'
  | 'word-left'
  | 'word-right'
  | 'backspace'
  | 'delete'
  | 'delete-word-left'
  | 'delete-word-right'
  | 'delete-to-start'
  | 'delete-to-end'
  | 'put-back'
  | 'interrupt'
  | 'end-of-input'
  | 'redraw'
  | 'suspend'

/** What was read and is not decoded yet: the beginning of a sequence, or of a paste. */
export type Undecoded = { type: 'keys'; held: string } | { type: 'paste'; held: string }

export const nothingHeld: Undecoded = { type: 'keys', held: '' }

const PASTE_END = '\u001b[201~'

/** The keys in what a terminal sent. What may still go on in the next chunk stays undecoded. */
export function decodeKeys(undecoded: Undecoded, chunk: string): { keys: Key[]; undecoded: Undecoded } {
  const keys: Key[] = []
  let rest = undecoded
  let fresh = chunk
  do {
    const step = rest.type === 'paste' ? decodePaste(rest.held, fresh) : decodeTyped(rest.held + fresh)
    keys.push(...step.keys)
    rest = step.undecoded
    fresh = step.rest
  } while (fresh !== '')
  return { keys, undecoded: rest }
}

type Step = { keys: Key[]; undecoded: Undecoded; rest: string }

function decodePaste(held: string, fresh: string): Step {
  const text = held + fresh
  const end = text.indexOf(PASTE_END, Math.max(held.length - PASTE_END.length, 0))
  if (end < 0) return { keys: [], undecoded: { type: 'paste', held: text }, rest: '' }
  return { keys: [{ name: 'paste', text: text.slice(0, end) }], undecoded: nothingHeld, rest: text.slice(end + PASTE_END.length) }
}

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: control characters are what keys are made of
const TEXT = /[^\u0000-\u001f\u007f]+/y
const PASTE_START = /\u001b\[200~/y
/** CSI and SS3 sequences, Alt with a character (Alt-Enter included), or one control character. */
const SEQUENCE =
  /\u001b\u001b?\[[0-?]*[ -/]*[@-~]|\u001b\u001b?O[ -~]|\u001b[^\u001b[O]|\r\n?|[\u0000-\u001a\u001c-\u001f\u007f]/uy
const MAY_GO_ON = /\u001b\u001b?(?:\[[0-?]{0,30}[ -/]{0,4}|O)?$/y
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: until here

function decodeTyped(text: string): Step {
  const keys: Key[] = []
  let at = 0
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    at += found?.length ?? 0
    return found
  }
  while (at < text.length) {
    const typed = take(TEXT)
    if (typed !== undefined) keys.push({ name: 'text', text: typed })
    else if (take(PASTE_START) !== undefined) return { keys, undecoded: { type: 'paste', held: '' }, rest: text.slice(at) }
    else if (take(MAY_GO_ON) !== undefined)
      return { keys, undecoded: { type: 'keys', held: text.slice(text.lastIndexOf('\u001b')) }, rest: '' }
    else {
      const name = COMMANDS[take(SEQUENCE) ?? text.charAt(at++)]
      if (name) keys.push({ name })
    }
  }
  return { keys, undecoded: nothingHeld, rest: '' }
}

/** By what terminals send; what is not here is ignored. */
const COMMANDS: Readonly<Record<string, CommandKey>> = {
  '\r': 'enter',
  '\r\n': 'enter',
  '\n': 'enter',
  '\u001b\r': 'newline',
  '\u001b\n': 'newline',
  '\u001b[13;2u': 'newline',
  '\u001b[13;3u': 'newline',
  '\u001b[27;2;13~': 'newline',
  '\u001b[27;3;13~': 'newline',
  ...arrows({ up: 'A', down: 'B', right: 'C', left: 'D', home: 'H', end: 'F' }),
  '\u001b[1~': 'home',
  '\u001b[7~': 'home',
  '\u001b[4~': 'end',
  '\u001b[8~': 'end',
  '\u0001': 'home',
  '\u0005': 'end',
  '\u0002': 'left',
  '\u0006': 'right',
  '\u0010': 'up',
  '\u000e': 'down',
  '\u001bb': 'word-left',
  '\u001bf': 'word-right',
  '\u001b[1;3D': 'word-left',
  '\u001b[1;5D': 'word-left',
  '\u001b[1;3C': 'word-right',
  '\u001b[1;5C': 'word-right',
  '\u007f': 'backspace',
  '\b': 'backspace',
  '\u001b[3~': 'delete',
  '\u0017': 'delete-word-left',
  '\u001b\u007f': 'delete-word-left',
  '\u001b\b': 'delete-word-left',
  '\u001bd': 'delete-word-right',
  '\u001b[3;3~': 'delete-word-right',
  '\u001b[3;5~': 'delete-word-right',
  '\u0015': 'delete-to-start',
  '\u000b': 'delete-to-end',
  '\u0019': 'put-back',
  '\u0003': 'interrupt',
  '\u0004': 'end-of-input',
  '\u000c': 'redraw',
  '\u001a': 'suspend',
}

/** In both of the modes that a terminal may be in. */
function arrows(finals: Partial<Record<CommandKey, string>>): Record<string, CommandKey> {
  const pairs = Object.entries(finals) as [CommandKey, string][]
  return Object.fromEntries(
    pairs.flatMap(([name, final]) => [`\u001b[${final}`, `\u001bO${final}`].map((bytes) => [bytes, name])),
  )
}
