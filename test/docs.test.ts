// What the documents name is there, and what is there they name.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { PROJECT } from '../src/config.ts'

const run = promisify(execFile)
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
  const helps = new Map<string, string>()
  before(() => learn(''))

  test('each is in a document', () => {
    const mentioned = new Set(
      mentions().flatMap(({ command, options }) => [command, ...options.map((name) => `${command} ${name}`)]),
    )
    const left = [...helps.keys()].filter((command) => command !== '' && !isParent(command))
    assert.deepEqual(
      left.filter((command) => !mentioned.has(command)),
      [],
    )
  })

  test('each that a document names, and each of its options, is there', () => {
    const wrong = mentions().flatMap(({ file, command, options }) => {
      const help = helps.get(command)
      if (help === undefined) return [`${file}: ${command}`]
      return options
        .filter((name) => !new RegExp(`(^|[\\s,])${name}\\b`, 'm').test(help))
        .map((name) => `${file}: ${command} ${name}`)
    })
    assert.deepEqual(wrong, [])
  })

  const isParent = (command: string) => [...helps.keys()].some((other) => other !== command && other.startsWith(`${command} `))

  /** The help of a command, and of those below it. */
  async function learn(command: string): Promise<void> {
    const { stdout } = await run(
      process.execPath,
      [path.join(PROJECT, 'src/cli/main.ts'), ...command.split(' '), '--help'].filter(Boolean),
    )
    helps.set(command, stdout)
    const [, list = ''] = stdout.split('\nCommands:\n')
    const below = [...list.matchAll(/^ {2}([a-z]+)/gm)].map((match) => match[1] ?? '').filter((name) => name !== 'help')
    await Promise.all(below.map((name) => learn(`${command} ${name}`.trim())))
  }

  /** `./nanoclaw COMMAND --options` wherever it stands; `list|clear` are two. */
  function mentions(): { file: string; command: string; options: string[] }[] {
    return TEXTS.flatMap(({ file, text }) =>
      [...text.matchAll(/\.\/nanoclaw ([^`\n#;)]*)/g)].flatMap((match) => {
        const words = (match[1] ?? '').replaceAll('\\|', '|').split(/\s+/)
        const options = words.filter((word) => /^\[?--?[a-z]/.test(word)).map((word) => word.replaceAll(/[[\]]/g, ''))
        return commandsOf(words).map((command) => ({ file, command, options }))
      }),
    )
  }

  function commandsOf([first = '', second = '']: string[]): string[] {
    const heads = alternatives(first)
    return heads.flatMap((head) =>
      isParent(head) && /^[a-z]/.test(second) ? alternatives(second).map((name) => `${head} ${name}`) : [head],
    )
  }

  const alternatives = (word: string) => (/^[a-z|]+$/.test(word) ? word.split('|') : [''])
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
