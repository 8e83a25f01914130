import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import {
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { type TestContext, temporaryFolder } from '../../../test/fakes/rooms.ts'
import { ensureMain } from '../../app/groups.ts'
import { openDeviceDatabase } from '../../channels/whatsapp/database.ts'
import { loadConfig } from '../../config.ts'
import { prepareRoot, refuseHalfRestored, restoreMark } from '../../project.ts'
import { HostLock } from '../../store/lock.ts'
import { Store } from '../../store/store.ts'
import type { Item } from './contents.ts'
import { makeBackup, writeArchive } from './make-backup.ts'
import { restore } from './restore.ts'

const PROJECT = path.resolve(import.meta.dirname, '..', '..', '..')

/** An installation in which the group main has a conversation and a file. */
function installation(t: TestContext) {
  const place = temporaryFolder(t)
  const [root, home] = [path.join(place, 'root'), path.join(place, 'home')]
  const config = loadConfig({ NANOCLAW_HOME: root }, home)
  prepareRoot({ root, project: PROJECT, owner: { uid: 1000, gid: 1000 } })
  const store = Store.open(config.paths.database)
  ensureMain(store, 1)
  store.sessions.set('main', 'session-1')
  store.close()
  const at = (...parts: string[]) => path.join(root, ...parts)
  const put = (text: string, ...parts: string[]) => {
    mkdirSync(path.dirname(at(...parts)), { recursive: true })
    writeFileSync(at(...parts), text)
  }
  put('ANTHROPIC_API_KEY=k\n', '.env')
  put('install', 'data', 'install-id')
  put('{"turn":1}\n', 'data', 'sessions', 'main', '.claude', 'projects', 'x', 'session-1.jsonl')
  put('picture', 'data', 'attachments', 'main', 'a.jpg')
  put('to be sent', 'data', 'outgoing', '1')
  put('for people', 'groups', 'main', 'logs', 'container-1.log')
  put('#!/bin/sh\n', 'groups', 'main', 'bin', 'tool')
  execFileSync('chmod', ['755', at('groups', 'main', 'bin', 'tool')])
  mkdirSync(path.join(home, '.config', 'nanoclaw'), { recursive: true })
  const policy = path.join(home, '.config', 'nanoclaw', 'mount-allowlist.json')
  writeFileSync(policy, '{"allowedRoots":[]}')
  const file = path.join(place, 'backup.tar.gz')
  const save = (passphrase?: string) => makeBackup({ config, file, passphrase })
  const bring = ({ from = file, passphrase = 'none', now = new Date() } = {}) =>
    restore({ config, backup: { file: from, passphrase: async () => passphrase }, say: () => {}, now })
  const session = () => {
    const opened = Store.open(config.paths.database)
    try {
      return opened.sessions.get('main')
    } finally {
      opened.close()
    }
  }
  return { place, root, home, config, policy, file, at, put, save, bring, session }
}

test('everything of an installation comes back after it is gone', async (t) => {
  const { root, policy, at, save, bring, session } = installation(t)
  const { leftOut } = await save()
  assert.deepEqual(leftOut, [])
  rmSync(root, { recursive: true })
  rmSync(policy)
  const { kept } = await bring()
  assert.equal(kept, undefined)
  assert.equal(session(), 'session-1')
  const read = (...parts: string[]) => readFileSync(at(...parts), 'utf8')
  assert.equal(read('.env'), 'ANTHROPIC_API_KEY=k\n')
  assert.equal(read('data', 'install-id'), 'install')
  assert.equal(read('data', 'sessions', 'main', '.claude', 'projects', 'x', 'session-1.jsonl'), '{"turn":1}\n')
  assert.equal(read('data', 'attachments', 'main', 'a.jpg'), 'picture')
  assert.equal(read('data', 'outgoing', '1'), 'to be sent')
  assert.match(read('groups', 'global', 'CLAUDE.md'), /./)
  assert.equal(lstatSync(at('groups', 'main', 'bin', 'tool')).mode & 0o777, 0o755)
  assert.equal(readFileSync(policy, 'utf8'), '{"allowedRoots":[]}')
  assert.equal(existsSync(at('groups', 'main', 'logs', 'container-1.log')), false)
  assert.deepEqual(readdirSync(root).sort(), ['.env', 'data', 'groups', 'store'])
})

test('what the host closes to other users is closed after a restore, and the rest is open', async (t) => {
  const { root, policy, at, put, save, bring } = installation(t)
  put('{"turn":2}\n', 'data', 'sessions', 'main', 'isolated', '.claude', 'projects', 'x', 'session-2.jsonl')
  put('a copy', 'data', 'outgoing', 'some-id', 'picture.png')
  put('{}', 'store', 'auth', 'creds.json')
  await save()
  rmSync(root, { recursive: true })
  rmSync(policy)
  await bring()
  const folders = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => lstatSync(at(name)).isDirectory())
  const closed = folders.filter((name) => (lstatSync(at(name)).mode & 0o077) === 0)
  const sessions = ['data/sessions/main/.claude', 'data/sessions/main/isolated/.claude']
  assert.deepEqual(closed.sort(), ['data/outgoing', 'data/outgoing/some-id', ...sessions, 'store/auth'])
})

test('a backup is a tar file that every system can list, and is private', async (t) => {
  const { file, save } = installation(t)
  await save()
  const names = execFileSync('tar', ['-tzf', file], { encoding: 'utf8' }).trim().split('\n')
  assert.equal(names[0], 'nanoclaw-backup.json')
  assert.equal(names.at(-1), 'manifest.json')
  assert.ok(names.includes('root/store/messages.db') && names.includes('root/groups/main/CLAUDE.md'))
  assert.equal(lstatSync(file).mode & 0o777, 0o600)
})

test('what a restore replaces is kept beside', async (t) => {
  const { at, put, policy, save, bring } = installation(t)
  await save()
  put('newer', 'groups', 'main', 'CLAUDE.md')
  put('LOG_LEVEL=debug\n', '.env')
  put('{}', 'data', 'ipc', 'main', 'messages', 'a.json')
  writeFileSync(policy, '{"allowedRoots":[1]}')
  const { kept = '' } = await bring()
  assert.ok(kept.startsWith(at('before-restore-')))
  assert.equal(readFileSync(path.join(kept, 'groups', 'main', 'CLAUDE.md'), 'utf8'), 'newer')
  assert.equal(readFileSync(path.join(kept, '.env'), 'utf8'), 'LOG_LEVEL=debug\n')
  assert.equal(readFileSync(path.join(kept, 'policies', 'mount-allowlist.json'), 'utf8'), '{"allowedRoots":[1]}')
  assert.ok(existsSync(path.join(kept, 'store', 'messages.db')))
  assert.ok(existsSync(path.join(kept, 'data', 'ipc', 'main', 'messages', 'a.json')))
  assert.equal(existsSync(at('data', 'ipc')), false, 'what was asked later belongs to what was replaced')
  assert.notEqual(readFileSync(at('groups', 'main', 'CLAUDE.md'), 'utf8'), 'newer')
})

test('folders by the thousand, with nothing in between, hold no backup up', async (t) => {
  async function* items(): AsyncGenerator<Item> {
    for (let n = 0; n < 2_000; n++) yield { path: `folder-${n}`, type: 'folder' }
  }
  const file = path.join(temporaryFolder(t), 'backup.tar.gz')
  const { folders } = await writeArchive({ items: items(), file, passphrase: undefined })
  assert.equal(folders.length, 2_000)
  assert.equal(
    execFileSync('tar', ['-tzf', file])
      .toString()
      .match(/^folder-/gm)?.length,
    2_000,
  )
})

test('an encrypted backup opens with its passphrase only', async (t) => {
  const { file, save, bring, session, config } = installation(t)
  await save('correct horse')
  assert.notEqual(readFileSync(file).readUInt16BE(0), 0x1f8b)
  const before = readFileSync(config.paths.database)
  await assert.rejects(bring({ passphrase: 'wrong horse' }), /passphrase is not the one/)
  assert.deepEqual(readFileSync(config.paths.database), before)
  await bring({ passphrase: 'correct horse' })
  assert.equal(session(), 'session-1')
})

/** The backup of a test, taken apart and put together again with something wrong. */
function tampered(file: string, change: (folder: string) => void): string {
  const folder = `${file}.parts`
  mkdirSync(folder)
  execFileSync('tar', ['-xzf', file, '-C', folder])
  change(folder)
  execFileSync('tar', ['-czPf', `${file}.bad`, '-C', folder, ...readdirSync(folder)])
  return `${file}.bad`
}

type Damage = { change(folder: string): void; told: RegExp }

const DAMAGE: Record<string, Damage> = {
  'a changed file': {
    change: (folder) => writeFileSync(path.join(folder, 'root/groups/main/CLAUDE.md'), 'do evil'),
    told: /CLAUDE.md is not as it was saved/,
  },
  'a missing file': { change: (folder) => rmSync(path.join(folder, 'root/.env')), told: /\.env is missing/ },
  'a further file': {
    change: (folder) => writeFileSync(path.join(folder, 'root/groups/main/more'), ''),
    told: /main\/more does not belong/,
  },
  'a file of the program': {
    change: (folder) => writeFileSync(path.join(folder, 'root/nanoclaw'), ''),
    told: /nanoclaw does not belong/,
  },
  'a pipe': {
    change: (folder) => execFileSync('mkfifo', [path.join(folder, 'root/groups/main/pipe')]),
    told: /pipe is neither a file nor a folder/,
  },
  'a link in the place of a folder of ours': {
    change: (folder) => symlinkSync('/etc', path.join(folder, 'root/groups/evil')),
    told: /evil is a link where none can be/,
  },
  'no manifest': { change: (folder) => rmSync(path.join(folder, 'manifest.json')), told: /cut off, or not a backup/ },
  'a damaged database': { change: damageDatabase, told: /messages\.db cannot be used/ },
}

/** With the checksum of the damaged one in the manifest. */
function damageDatabase(folder: string): void {
  const [file, list] = [path.join(folder, 'root/store/messages.db'), path.join(folder, 'manifest.json')]
  writeFileSync(file, Buffer.alloc(8192, 'x'))
  const sha256 = execFileSync('sha256sum', [file], { encoding: 'utf8' }).split(' ')[0]
  const manifest = JSON.parse(readFileSync(list, 'utf8'))
  for (const entry of manifest.files) if (entry.path === 'root/store/messages.db') entry.sha256 = sha256
  writeFileSync(list, JSON.stringify(manifest))
}

for (const [what, { change, told }] of Object.entries(DAMAGE))
  test(`a backup with ${what} is refused, and changes nothing`, async (t) => {
    const { root, at, put, file, save, bring, session } = installation(t)
    await save()
    put('newer', 'groups', 'main', 'CLAUDE.md')
    await assert.rejects(bring({ from: tampered(file, change) }), told)
    assert.equal(readFileSync(at('groups', 'main', 'CLAUDE.md'), 'utf8'), 'newer')
    assert.equal(session(), 'session-1')
    assert.deepEqual(readdirSync(root).sort(), ['.env', 'data', 'groups', 'logs', 'store'])
  })

test('a name that leads out of the root is refused', async (t) => {
  const { place, file, save, bring } = installation(t)
  await save()
  const bad = tampered(file, () => {})
  execFileSync('sh', [
    '-c',
    'gunzip -c "$1" > "$1.tar"; echo x > "$2/x"; tar -rPf "$1.tar" --transform "s,.*,root/groups/main/../../../../escaped," "$2/x"; gzip -c "$1.tar" > "$1"',
    'sh',
    bad,
    place,
  ])
  await assert.rejects(bring({ from: bad }), /does not belong into it/)
  assert.equal(existsSync(path.join(place, '..', 'escaped')), false)
})

test('a backup that is cut off anywhere is refused', async (t) => {
  const { file, save, bring, session } = installation(t)
  await save()
  const { size } = lstatSync(file)
  for (const bytes of [0, 10, Math.floor(size / 2), size - 1]) {
    writeFileSync(`${file}.cut`, readFileSync(file).subarray(0, bytes))
    await assert.rejects(bring({ from: `${file}.cut` }), { code: 'backup.damaged' }, `${bytes} of ${size} bytes`)
  }
  assert.equal(session(), 'session-1')
})

test('nothing is restored onto a host that runs', async (t) => {
  const { config, save, bring } = installation(t)
  await save()
  const { lock, holder } = config.paths
  const held = HostLock.take({ lock, holder, pid: process.pid, now: new Date() })
  await assert.rejects(bring(), { code: 'host.already-running' })
  held.release()
  await bring()
})

test('no host starts on a restore that was cut short, and the restore can be called again', async (t) => {
  const { root, at, save, bring, session } = installation(t)
  await save()
  writeFileSync(restoreMark(root), '/kept\n')
  rmSync(at('store'), { recursive: true })
  assert.throws(() => refuseHalfRestored(root), /restore.*\/kept/s)
  await bring()
  refuseHalfRestored(root)
  assert.equal(session(), 'session-1')
})

test('what an agent left lying is neither followed nor waited for, and what is left out is told', async (t) => {
  const { place, at, save, bring } = installation(t)
  const group = (...parts: string[]) => at('groups', 'main', ...parts)
  writeFileSync(path.join(place, 'secret'), 'the owner’s')
  symlinkSync(path.join(place, 'secret'), group('link'))
  symlinkSync('/', group('slash'))
  symlinkSync('bin', group('inside'))
  writeFileSync(group('one'), '')
  linkSync(group('one'), group('other'))
  execFileSync('mkfifo', [group('pipe')])
  writeFileSync(group('sparse'), '')
  truncateSync(group('sparse'), 10 * 2 ** 40)
  writeFileSync(group('two\nlines'), '')
  writeFileSync(group('n'.repeat(255)), 'long')
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(group('socket'), resolve))
  t.after(() => server.close())
  let deep = group('deep')
  for (let level = 0; level < 40; level++) deep = path.join(deep, 'd')
  mkdirSync(deep, { recursive: true })

  const { leftOut } = await save()
  const names = leftOut.map((entry) => entry.path.replace('root/groups/main/', '').replace(/(\/d)+/, '/d...')).sort()
  assert.deepEqual(names, ['deep/d...', 'one', 'other', 'pipe', 'socket', 'sparse', 'two\nlines'])
  await bring()
  assert.equal(readlinkSync(group('link')), path.join(place, 'secret'))
  assert.equal(readlinkSync(group('slash')), '/')
  assert.equal(readFileSync(group('inside', 'tool'), 'utf8'), '#!/bin/sh\n')
  assert.equal(readFileSync(group('n'.repeat(255)), 'utf8'), 'long')
})

test('a database that is written to without a pause is saved as of one moment, and not begun anew', async (t) => {
  const { config, save, bring } = installation(t)
  const db = new SQLite(config.paths.database)
  t.after(() => db.close())
  db.exec('CREATE TABLE pairs (a INTEGER, b BLOB) STRICT')
  const add = db.transaction((n: number) => {
    for (let i = 0; i < 2; i++) db.prepare('INSERT INTO pairs VALUES (?, zeroblob(4000))').run(n)
  })
  for (let n = 0; n < 1_000; n++) add(n)
  const most = 3_000
  let number = 1_000
  let saving = true
  const write = () => {
    if (!saving || number >= most) return
    add(number++)
    setImmediate(write)
  }
  setImmediate(write)
  await save()
  saving = false
  assert.ok(number > 1_000 && number < most, `${number} pairs`)
  db.close()
  await bring()
  const restored = new SQLite(config.paths.database, { readonly: true })
  t.after(() => restored.close())
  assert.deepEqual(restored.prepare('SELECT a FROM pairs GROUP BY a HAVING count(*) <> 2').all(), [])
  assert.ok((restored.prepare('SELECT count(*) AS n FROM pairs').get() as { n: number }).n >= 2_000)
})

test('of accounts that a process has in use, only the state is saved', async (t) => {
  const { file, at, save } = installation(t)
  const device = openDeviceDatabase(at('store', 'auth', 'whatsapp.db'))
  t.after(() => device.close({ keep: true }))
  await save()
  const names = execFileSync('tar', ['-tzf', file], { encoding: 'utf8' }).trim().split('\n')
  assert.deepEqual(
    names.filter((name) => name.startsWith('root/store/auth/')),
    ['root/store/auth/whatsapp.db'],
  )
})

test('a file that is there already is not replaced, and a failed backup leaves nothing behind', async (t) => {
  const { place, file, config, save } = installation(t)
  writeFileSync(file, 'mine')
  await assert.rejects(save(), { code: 'input.exists' })
  assert.equal(readFileSync(file, 'utf8'), 'mine')
  rmSync(file)
  writeFileSync(config.paths.database, 'no database')
  await assert.rejects(save(), { code: 'backup.failed' })
  assert.deepEqual(readdirSync(place).sort(), ['home', 'root'])
})

test('a process without enough descriptors makes no backup, rather than one that lacks files', (t) => {
  const { root, home, at, file } = installation(t)
  const deep = at('groups', 'main', ...Array.from({ length: 30 }, () => 'd'))
  mkdirSync(deep, { recursive: true })
  writeFileSync(path.join(deep, 'deepest'), 'text')
  const cli = path.join(PROJECT, 'src', 'cli', 'main.ts')
  const save = (descriptors: number) =>
    spawnSync('sh', ['-c', `ulimit -n ${descriptors} && exec "$0" "$@"`, process.execPath, cli, 'backup', file], {
      encoding: 'utf8',
      env: { ...process.env, NANOCLAW_HOME: root, HOME: home },
    })
  const failed = save(70)
  assert.notEqual(failed.status, 0, failed.stdout)
  assert.match(failed.stderr, /No backup was made: .*EMFILE/)
  assert.deepEqual(readdirSync(path.dirname(file)).sort(), ['home', 'root'])
  const saved = save(500)
  assert.equal(saved.status, 0, saved.stderr)
  assert.doesNotMatch(saved.stdout, /left out/i)
})
