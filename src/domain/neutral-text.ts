const SEQUENCES = new RegExp(
  [
    '\\u001b\\[[0-?]*[ -/]*[@-~]', // CSI: colours, cursor, modes
    '\\u001b[\\]PX^_][^\\u0007\\u001b\\n]*(?:\\u0007|\\u001b\\\\)', // OSC, DCS, SOS, PM, APC with their end
    '\\u001b[ -/]*[0-~]', // the short ones
  ].join('|'),
  'g',
)
/** What is left of C0 and C1 but newline and tab, and the marks that reorder text (a way to fake what is shown). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]/g

/** The text without anything that could drive a terminal; of the control characters only newline and tab stay. */
export function neutralised(text: string): string {
  return text
    .toWellFormed()
    .replace(SEQUENCES, '')
    .replace(/\r\n?|[\u2028\u2029]/g, '\n')
    .replace(CONTROLS, '')
}
