import { existsSync, mkdirSync, readFileSync, realpathSync } from 'node:fs'
import path from 'node:path'
import { writeFileDurably } from '../../files.ts'

/** The file's text with `name` set once; every other line stays as it is. */
export function withVariable({ text, name, value }: { text: string; name: string; value: string }): string {
  const assignment = new RegExp(`^\\s*(?:export\\s+)?${name}\\s*=`)
  const lines = text.split('\n')
  const first = lines.findIndex((line) => assignment.test(line))
  const kept = lines.filter((line, at) => at === first || !assignment.test(line))
  const line = `${name}=${value}`
  if (first >= 0) return kept.with(first, line).join('\n')
  return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`
}

/** Sets a variable in the `.env` file, which afterwards only its owner may read. A crash leaves the old file or the new one. */
export function setVariable({ file, name, value }: { file: string; name: string; value: string }): void {
  // A link stays one: what it points to is replaced.
  const target = existsSync(file) ? realpathSync(file) : file
  const text = existsSync(target) ? readFileSync(target, 'utf8') : ''
  mkdirSync(path.dirname(target), { recursive: true })
  writeFileDurably(target, { text: withVariable({ text, name, value }), mode: 0o600 })
}
