import { createHash } from 'node:crypto'
import { lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync, type Stats } from 'node:fs'
import path from 'node:path'
import { extract } from 'tar'
import { PROJECT } from '../../src/config.ts'
import { type TestContext, temporaryFolder } from './rooms.ts'

/** Each folder below holds what the commit of its name made; `tools/fixture-root` builds it. */
export const FIXTURES = path.join(PROJECT, 'test', 'fixtures')
export const ARCHIVE = 'installation.tar.gz'
export const PROGRAM_ARCHIVE = 'program.tar.gz'
export const MANIFEST = 'manifest.txt'
/** Beside the root and the home in the archive: what is not part of an installation, but known of it. */
export const BACKUP = 'backup.tar.gz.enc'
export const TOLD = 'told.json'
export const PLATFORM = 'whatsapp.json'
/** The unit that its `service install` wrote, below the home. */
export const UNIT = '.config/systemd/user/nanoclaw.service'

/** One path of a tree. `mode` is octal; `content` is the hash of a file, or the target of a link, or empty. */
export type Entry = { type: 'file' | 'folder' | 'link'; mode: string; uid: number; gid: number; content: string; path: string }

/** Every path below a folder, sorted. Sockets are left out: no archive keeps them, and each host makes its own. */
export function entriesBelow(folder: string): Entry[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort()
  return names.flatMap((name) => {
    const [file, stat] = [path.join(folder, name), lstatSync(path.join(folder, name))]
    const type = typeOf(stat)
    if (type === undefined) return []
    const mode = (stat.mode & 0o7777).toString(8)
    return [{ type, mode, uid: stat.uid, gid: stat.gid, content: contentOf(file, type), path: name }]
  })
}

function typeOf(stat: Stats): Entry['type'] | undefined {
  if (stat.isFile()) return 'file'
  if (stat.isDirectory()) return 'folder'
  return stat.isSymbolicLink() ? 'link' : undefined
}

function contentOf(file: string, type: Entry['type']): string {
  if (type === 'link') return readlinkSync(file)
  return type === 'file' ? createHash('sha256').update(readFileSync(file)).digest('hex').slice(0, 16) : ''
}

/** A line for each entry. Neither a mode nor a hash nor the target of a link of ours holds a space. */
export function manifestOf(entries: readonly Entry[]): string {
  const lines = entries.map(({ type, mode, uid, gid, content, path: name }) =>
    [type, mode, uid, gid, content || '-', name].join(' '),
  )
  return `${lines.join('\n')}\n`
}

function entriesOf(manifest: string): Entry[] {
  return manifest
    .trimEnd()
    .split('\n')
    .map((line) => {
      const [type = '', mode = '', uid, gid, content = '', ...name] = line.split(' ')
      const shown = content === '-' ? '' : content
      return { type: type as Entry['type'], mode, uid: Number(uid), gid: Number(gid), content: shown, path: name.join(' ') }
    })
}

type Told = { madeAt: number; passphrase: string; said: Record<string, unknown> }

/** The installation that an earlier commit made, unpacked; with its modes, and, where root unpacks it, with its owners. */
export class OldInstallation {
  /** What `home`, `root` and the rest lie in; removed after the test. */
  readonly folder: string
  readonly root: string
  readonly home: string
  readonly backup: string
  /** Everything in `folder`, as it was packed. */
  readonly entries: readonly Entry[]
  readonly #fixture: string
  readonly #told: Told

  constructor(t: TestContext, commit: string) {
    this.#fixture = path.join(FIXTURES, commit)
    this.folder = temporaryFolder(t)
    unpack(path.join(this.#fixture, ARCHIVE), this.folder)
    this.root = path.join(this.folder, 'root')
    this.home = path.join(this.folder, 'home')
    this.backup = path.join(this.folder, BACKUP)
    this.entries = entriesOf(readFileSync(path.join(this.#fixture, MANIFEST), 'utf8'))
    this.#told = JSON.parse(this.#text(TOLD))
  }

  /** In milliseconds since the epoch. */
  get madeAt(): number {
    return this.#told.madeAt
  }

  get passphrase(): string {
    return this.#told.passphrase
  }

  /** What a command of that commit printed with `--json`, e.g. `groups list`. */
  said<T>(command: string): T {
    if (!(command in this.#told.said)) throw new Error(`the fixture does not tell what "${command}" said`)
    return this.#told.said[command] as T
  }

  /** The commands that `said` knows. */
  get commands(): string[] {
    return Object.keys(this.#told.said)
  }

  get unit(): string {
    return readFileSync(path.join(this.home, UNIT), 'utf8')
  }

  /** Everybody on the WhatsApp that it is linked to, for `People.restored`. */
  get platform(): string {
    return this.#text(PLATFORM)
  }

  /** What a command needs to work on it. Nothing in it leaves this machine: where WhatsApp is to be, nobody listens. */
  get env(): Record<string, string> {
    return { NANOCLAW_HOME: this.root, HOME: this.home, WHATSAPP_SOCKET_URL: 'ws://127.0.0.1:9/' }
  }

  /** Unpacks the program of that commit: everything that runs outside of containers, without its tests and its libraries. */
  program(): string {
    const folder = path.join(this.folder, 'program')
    mkdirSync(folder)
    unpack(path.join(this.#fixture, PROGRAM_ARCHIVE), folder)
    return folder
  }

  #text(name: string): string {
    return readFileSync(path.join(this.folder, name), 'utf8')
  }
}

/**
 * With exact modes, whatever the umask is. Nobody but root can give files to others, so nobody else tries. Files count as new:
 * logs and transcripts that are too old are removed by those who keep them.
 */
export function unpack(file: string, cwd: string): void {
  const preserveOwner = process.getuid?.() === 0
  extract({ file, cwd, sync: true, noMtime: true, chmod: true, umask: 0, processUmask: 0, preserveOwner })
}
