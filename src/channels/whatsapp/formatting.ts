/**
 * Markdown as WhatsApp writes it: `*bold*`, `_italic_`, `~struck~`, backticks as they are. WhatsApp's formatting is text,
 * so nothing can be refused: what is not recognised is shown as it stands.
 */
export function whatsappText(markdown: string): string {
  return markdown
    .split(/(```[\s\S]*?(?:```|$))/)
    .map((part) => (part.startsWith('```') ? part.replace(/^```[^\n`]*\n/, '```\n') : outsideCode(part)))
    .join('')
}

function outsideCode(text: string): string {
  return text
    .split(/(`[^`\n]+`)/)
    .map((part) => (part.startsWith('`') ? part : part.split('\n').map(line).join('\n')))
    .join('')
}

function line(text: string): string {
  const heading = /^#{1,6}\s+(.*?)\s*#*$/.exec(text)
  if (heading?.[1]) return `*${inline(heading[1]).replaceAll('*', '')}*`
  if (/^\s*([-*_])(?:\s*\1){2,}\s*$/.test(text)) return '———'
  const bullet = /^(\s*)[*+-]\s+(?:\[([ xX])\]\s+)?(.*)$/.exec(text)
  if (!bullet) return inline(text)
  const [, indent = '', box, rest = ''] = bullet
  const mark = box === undefined ? '-' : box === ' ' ? '☐' : '☑'
  return `${indent}${mark} ${inline(rest)}`
}

/** Bold is set aside while italics are looked for: both are made of stars. */
const BOLD = '\uE000'

function inline(text: string): string {
  return text
    .replace(/!?\[([^\]]*)\]\((\S+?)(?:\s+"[^"]*")?\)/g, (_whole, label: string, url: string) => linkText(label, url))
    .replace(/\*\*\*(?=\S)(.+?)(?<=\S)\*\*\*/g, `${BOLD}_$1_${BOLD}`)
    .replace(/\*\*(?=\S)(.+?)(?<=\S)\*\*/g, `${BOLD}$1${BOLD}`)
    .replace(/(?<![\w])__(?=\S)(.+?)(?<=\S)__(?![\w])/g, `${BOLD}$1${BOLD}`)
    .replace(/(?<![\w*])\*(?=[^\s*])([^*\n]*?)(?<=[^\s*])\*(?![\w*])/g, '_$1_')
    .replace(/~~(?=\S)(.+?)(?<=\S)~~/g, '~$1~')
    .replaceAll(BOLD, '*')
}

function linkText(label: string, url: string): string {
  return label === '' || label === url ? url : `${label} (${url})`
}
