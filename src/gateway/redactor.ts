const REDACTED = '[redacted]'
/** Shorter values would blank out ordinary words. */
const SHORTEST_SECRET = 6

/** Tokens as Anthropic issues them, and what stands in an Authorization header. */
const WELL_KNOWN = [/sk-ant-[\w-]{8,}/g, /(?<=\bBearer\s+)[\w.~+/=-]{16,}/gi]

/** A function that takes the given secrets, and whatever looks like a token, out of a text. For logs and error texts. */
export function redactor(values: Iterable<string>): (text: string) => string {
  // Longest first: a secret that contains another must go as a whole.
  const secrets = [...values].filter(({ length }) => length >= SHORTEST_SECRET).sort((a, b) => b.length - a.length)
  return (text) => {
    const known = secrets.reduce((rest, secret) => rest.replaceAll(secret, REDACTED), text)
    return WELL_KNOWN.reduce((rest, pattern) => rest.replace(pattern, REDACTED), known)
  }
}
