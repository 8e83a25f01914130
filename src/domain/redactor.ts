const REDACTED = '[redacted]'
/** Shorter values would blank out ordinary words. */
const SHORTEST_SECRET = 6

/**
 * What is a secret by its looks: tokens of Anthropic, GitHub, Slack, Telegram, AWS and Google, private keys, and what stands
 * in an Authorization header or before the host of an address. Each matches in one pass: texts may be hostile.
 */
const WELL_KNOWN: readonly (readonly [pattern: RegExp, instead: string])[] = [
  [/sk-ant-[\w-]{8,}/g, REDACTED],
  [/\b(?:gh[pousr]_\w{30,255}|github_pat_\w{30,255}|xox[abeoprs]-[\w-]{10,255}|xapp-[\w-]{20,255})/g, REDACTED],
  [/\b\d{8,12}:AA[\w-]{32,40}\b/g, REDACTED],
  [/\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g, REDACTED],
  [/\bAIza[\w-]{35}/g, REDACTED],
  [/\b(Bearer[ \t]{1,4})[\w.~+/=-]{16,}/gi, `$1${REDACTED}`],
  [/(\b[a-z][a-z+]{1,9}:\/\/[^\s/:@"]{1,64}:)[^\s/:@"]{6,128}@/gi, `$1${REDACTED}@`],
  // Without `-`, which no key has: else each of many beginnings would be read on through those after it.
  [/(-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----)[\w+/=\s\\]{1,4000}(?=-----END)/g, `$1${REDACTED}`],
]

/** A function that takes the given secrets, also as they stand in addresses, and whatever looks like one, out of a text. */
export function redactor(values: Iterable<string>): (text: string) => string {
  const known = [...values].filter(({ length }) => length >= SHORTEST_SECRET).flatMap(spellings)
  // Longest first: a secret that contains another must go as a whole.
  const secrets = [...new Set(known)].sort((a, b) => b.length - a.length)
  return (text) => {
    const rest = secrets.reduce((left, secret) => left.replaceAll(secret, REDACTED), text)
    return WELL_KNOWN.reduce((left, [pattern, instead]) => left.replace(pattern, instead), rest)
  }
}

function spellings(secret: string): string[] {
  return [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)]
}
