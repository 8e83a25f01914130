// Builds the fixture of one commit: node tools/fixture-root/build.ts COMMIT. README.md says what is in it, and when to do that.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { create } from 'tar'
import { PROJECT } from '../../src/config.ts'
import type { TestHost } from '../../test/fakes/host-process.ts'
import {
  ARCHIVE,
  BACKUP,
  entriesBelow,
  FIXTURES,
  MANIFEST,
  manifestOf,
  PLATFORM,
  PROGRAM_ARCHIVE,
  TOLD,
  UNIT,
} from '../../test/fakes/old-installation.ts'
import { PROGRAM } from '../../test/fakes/releases.ts'
import { SystemdMachine } from '../../test/fakes/systemd-machine.ts'
import { checked, live, PASSPHRASE, type Stage } from './scene.ts'

/** What is asked of the old program, with `--json`, once its life is over. */
const QUESTIONS = [['groups', 'list'], ['sessions', 'list'], ['tasks', 'list'], ['audit'], ['channels', 'list']]
/** Who runs this as another user gets an installation without foreign owners, which would prove less. */
const ROOT_ONLY = 'Build the fixture as root: only then files get the owners that the host gives them.'

async function build(commit: string): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error(ROOT_ONLY)
  const fixture = path.join(FIXTURES, commit)
  if (existsSync(fixture)) throw new Error(`${fixture} is there already. A fixture is never built anew to make a test pass.`)
  const work = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-fixture-'))
  const endings: (() => unknown)[] = [() => rmSync(work, { recursive: true, force: true })]
  const t = { after: (end: () => unknown) => void endings.unshift(end) }
  try {
    const program = checkOut({ t, commit, folder: path.join(work, 'program') })
    const folder = path.join(work, 'installation')
    const image = builtImage({ t, commit, program })
    const stage = {
      root: path.join(folder, 'root'),
      home: path.join(folder, 'home'),
      program,
      image,
      backup: path.join(folder, BACKUP),
    }
    mkdirSync(folder)
    const { host, people } = await live(t, stage)
    writeFileSync(path.join(folder, PLATFORM), people)
    await placeUnit({ program, home: stage.home })
    const said = await told({ host, stage, scratch: path.join(work, 'scratch') })
    writeFileSync(path.join(folder, TOLD), JSON.stringify({ madeAt: Date.now(), passphrase: PASSPHRASE, said }, null, 2))
    pack({ folder, fixture, commit })
  } finally {
    for (const end of endings) await end()
  }
}

type Endings = { after(end: () => unknown): void }

/** A worktree, because the program asks git what main may see of it, with libraries of its own: links out of it end in containers. */
function checkOut({ t, commit, folder }: { t: Endings; commit: string; folder: string }): string {
  const git = (...args: string[]) => execFileSync('git', ['-C', PROJECT, ...args], { stdio: ['ignore', 'inherit', 'inherit'] })
  git('worktree', 'add', '--quiet', '--detach', folder, commit)
  t.after(() => git('worktree', 'remove', '--force', folder))
  const lock = (project: string) => readFileSync(path.join(project, 'package-lock.json'), 'utf8')
  if (lock(PROJECT) !== lock(folder)) execFileSync('npm', ['ci', '--ignore-scripts'], { cwd: folder, stdio: 'inherit' })
  else execFileSync('cp', ['-al', path.join(PROJECT, 'node_modules'), path.join(folder, 'node_modules')])
  return folder
}

function builtImage({ t, commit, program }: { t: Endings; commit: string; program: string }): string {
  const image = `nanoclaw-fixture:${commit}`
  const env = { ...process.env, CONTAINER_IMAGE: image }
  execFileSync(path.join(program, 'container', 'build.sh'), ['--if-needed'], { env, stdio: 'inherit' })
  t.after(() => execFileSync('docker', ['rmi', image], { stdio: 'ignore' }))
  return image
}

/** The unit that `service install` writes for an ordinary user of a machine with systemd. */
async function placeUnit({ program, home }: { program: string; home: string }): Promise<void> {
  const machine = new SystemdMachine({ original: program })
  try {
    await machine.boot({ env: 'ANTHROPIC_API_KEY=sk-ant-api03-a-key-of-a-fixture\n' })
    await machine.joinDockerGroup()
    await machine.restartUserManager()
    const { code, stderr } = await machine.asUser('./nanoclaw service install')
    if (code !== 0) throw new Error(`service install ended with ${code}: ${stderr}`)
    const { stdout } = await machine.asUser(`cat ~/${UNIT}`)
    mkdirSync(path.dirname(path.join(home, UNIT)), { recursive: true })
    writeFileSync(path.join(home, UNIT), stdout)
  } finally {
    await machine.remove()
  }
}

/** Asked on a copy: the fixture is to be as the kill left it. */
async function told({
  host,
  stage,
  scratch,
}: {
  host: TestHost
  stage: Stage
  scratch: string
}): Promise<Record<string, unknown>> {
  cpSync(stage.root, scratch, { recursive: true, filter: (name) => !name.endsWith('.sock') })
  host.env.NANOCLAW_HOME = scratch
  const said: Record<string, unknown> = {}
  for (const question of QUESTIONS) said[question.join(' ')] = JSON.parse(await checked(host, ...question, '--json'))
  return said
}

function pack({ folder, fixture, commit }: { folder: string; fixture: string; commit: string }): void {
  mkdirSync(fixture, { recursive: true })
  writeFileSync(path.join(fixture, MANIFEST), manifestOf(entriesBelow(folder)))
  const names = ['root', 'home', BACKUP, TOLD, PLATFORM]
  create({ file: path.join(fixture, ARCHIVE), cwd: folder, sync: true, gzip: { level: 9 } }, names)
  const archive = ['archive', '--format=tar.gz', '-9', `--output=${path.join(fixture, PROGRAM_ARCHIVE)}`, commit]
  execFileSync('git', ['-C', PROJECT, ...archive, '--', ...PROGRAM, ':(exclude)*.test.ts'])
}

const [commit] = process.argv.slice(2)
if (commit === undefined) throw new Error('Which commit? node tools/fixture-root/build.ts COMMIT')
await build(commit)
process.exit()
