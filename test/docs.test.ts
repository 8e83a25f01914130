// What the documents name is there, and what is there they name.
import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import type { Command } from 'commander'
import { commands } from '../src/cli/commands.ts'
import { PROJECT } from '../src/config.ts'

/** For an update, not for people. */
const HIDDEN = 'migrate'
const read = (file: string) => readFileSync(path.join(PROJECT, file), 'utf8')
const filesOf = (...patterns: string[]) => globSync(patterns, { cwd: PROJECT, exclude: ['**/node_modules/**'] })
const TEXTS = filesOf('*.md', 'docs/**/*.md')
  .filter((file) => file !== 'CHANGELOG.md')
  .map((file) => ({ file, text: read(file) }))

describe('settings', () => {
  /** `NAME` in code, and `NAME=...`; one of a single word only so, or in a table. */
  const named = (text: string) =>
    [...text.matchAll(/\b([A-Z][A-Z0-9]*_[A-Z0-9_]+)(?=[`=])|\b([A-Z]{2,})(?==[^\s$])|(?<=^\| `)([A-Z]+)(?=`)/gm)].map(
      (match) => match[1] ?? match[2] ?? match[3] ?? '',
    )

  test('each that src/config.ts reads has a row in docs/configuration.md', () => {
    const settings = [...read('src/config.ts').matchAll(/^ {2}([A-Z][A-Z0-9_]*): |\benv\.([A-Z][A-Z0-9_]*)/gm)]
    const known = new Set(settings.map((match) => match[1] ?? match[2] ?? ''))
    assert.ok(known.size > 30, 'they are found')
    const rows =
      read('docs/configuration.md')
        .match(/^\| `[^|]*/gm)
        ?.join('\n') ?? ''
    assert.deepEqual([...known.difference(new Set(named(rows)))], [])
  })

  test('each that a document names is read by the program or its tests', () => {
    const files = filesOf('nanoclaw', '{src,test}/**/*.ts', 'container/**/{*.ts,*.sh,Dockerfile}')
    const code = files
      .filter((file) => file !== 'test/docs.test.ts')
      .map(read)
      .join('\n')
    const unread = TEXTS.flatMap(({ file, text }) =>
      [...new Set(named(text))].filter((name) => !new RegExp(`\\b${name}\\b`).test(code)).map((name) => `${file}: ${name}`),
    )
    assert.deepEqual(unread, [])
  })
})

describe('commands', () => {
  const program = commands(() => {})
  const all = new Map(below(program))

  test('each is in a document', () => {
    const mentioned = new Set(mentions().map(({ name }) => name))
    const left = [...all].filter(([name, command]) => command.commands.length === 0 && !mentioned.has(name) && name !== HIDDEN)
    assert.deepEqual(
      left.map(([name]) => name),
      [],
    )
  })

  test('each that a document names, and each of its options, is there', () => {
    const wrong = mentions().flatMap(({ file, name, options }) => {
      const command = all.get(name)
      if (command === undefined) return [`${file}: ${name}`]
      const known = ['-h', '--help', ...command.options.flatMap(({ short, long }) => [short, long])]
      return options.filter((option) => !known.includes(option)).map((option) => `${file}: ${name} ${option}`)
    })
    assert.deepEqual(wrong, [])
  })

  /** The names and commands of a whole tree, e.g. `groups list`; the program itself is the empty name. */
  function below(command: Command, name = ''): [string, Command][] {
    return [[name, command], ...command.commands.flatMap((one) => below(one, `${name} ${one.name()}`.trim()))]
  }

  /** `./nanoclaw COMMAND --options` wherever it stands; `list|clear` are two. */
  function mentions(): { file: string; name: string; options: string[] }[] {
    return TEXTS.flatMap(({ file, text }) =>
      [...text.matchAll(/\.\/nanoclaw ([^`\n#;)]*)/g)].flatMap((match) => {
        const words = (match[1] ?? '').replaceAll('\\|', '|').split(/\s+/)
        const options = words.flatMap((word) => word.match(/(?<=^\[?|\|)--?[a-z][a-z-]*/g) ?? [])
        return namesOf(words).map((name) => ({ file, name, options }))
      }),
    )
  }

  function namesOf([first = '', second = '']: string[]): string[] {
    return alternatives(first).flatMap((name) =>
      all.get(name)?.commands.length && /^\[?[a-z]/.test(second) ? alternatives(second).map((one) => `${name} ${one}`) : [name],
    )
  }

  /** Of `[load|tasks]` and `list|clear`; an option is not a command, so it is one of what stands before it. */
  function alternatives(word: string): string[] {
    return /^\[?[a-z|]+\]?$/.test(word) ? word.replaceAll(/[[\]]/g, '').split('|') : ['']
  }
})

test('each link leads to a file and a heading that are there', () => {
  const anchors = (file: string) => [...read(file).matchAll(/^#+ (.*)$/gm)].map((match) => anchorOf(match[1] ?? ''))
  const dead = TEXTS.flatMap(({ file, text }) =>
    [...text.matchAll(/\]\((?!\w+:)([^)#]*)(?:#([^)]*))?\)/g)].flatMap(([link, target = '', anchor]) => {
      const to = target === '' ? file : path.join(path.dirname(file), target)
      const found = existsSync(path.join(PROJECT, to)) && (anchor === undefined || anchors(to).includes(anchor))
      return found ? [] : [`${file}: ${link}`]
    }),
  )
  assert.deepEqual(dead, [])
})

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .replaceAll(' ', '-')
}
