import { Command, InvalidArgumentError } from 'commander'
import packageJson from '../../package.json' with { type: 'json' }
import { loadConfig, PROJECT } from '../config.ts'
import { auditCommand } from './audit.ts'
import { backupCommands } from './backup/command.ts'
import { benchCommand } from './bench/command.ts'
import { channelsCommand } from './channels.ts'
import type { ChatOptions } from './chat.ts'
import { doctorCommand } from './doctor/command.ts'
import type { ExitCode } from './exit.ts'
import { groupsCommand } from './groups.ts'
import { logsCommand } from './logs/command.ts'
import { mountsCommand } from './mounts.ts'
import { serviceCommand } from './service/command.ts'
import { sessionsCommand } from './sessions.ts'
import { personAt } from './setup/person.ts'
import { mayInstall, type SetupState, setup } from './setup/setup.ts'
import { tasksCommand } from './tasks.ts'
import { uninstallCommand } from './uninstall/command.ts'
import { updateCommands } from './update/command.ts'
import { usageCommand } from './usage.ts'

const { env } = process
const say = (line: string) => process.stderr.write(`${line}\n`)
const print = (text: string) => process.stdout.write(text)

/** Every command of `./nanoclaw`. What a command needs is loaded when it runs: most need little, and all start fast. */
export function commands(done: (code: ExitCode) => void): Command {
  const program = new Command('nanoclaw')
    .description('Your own AI assistant in the chats you already use, each group in a container of its own.')
    .version(packageJson.version)
    .exitOverride()
    .option('--yes', 'install and start what is missing without asking')
    .action(async ({ yes }: { yes?: boolean }) => done(await setUpAndChat(yes ?? false)))
  const add = (name: string, description: string) => program.command(name).description(description).exitOverride()

  add('setup', 'make this machine ready: container engine, image, login')
    .option('--yes', 'install and start what is missing without asking')
    .action(async ({ yes }: { yes?: boolean }) =>
      done(missing(await prepare({ command: 'setup', yes: yes ?? false, login: true })) ?? 0),
    )
  add('start', 'run the host in the foreground').action(async () => done(await (await import('./start.ts')).start(env, say)))
  chatOptions(add('chat', 'talk to a group from this terminal')).action(async (options) => done(await chat(options)))
  chatOptions(add('demo', 'try it without a key: everything is real but the model'))
    .option('--yes', 'install and start what is missing without asking')
    .action(async ({ yes, ...options }: { yes?: boolean }) => {
      done(missing(await prepare({ command: 'demo', yes: yes ?? false, login: false })) ?? (await demo(options)))
    })
  add('status', 'what the host is doing')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const { ControlClient } = await import('./control-client.ts')
      const { renderStatus } = await import('./status-view.ts')
      const status = await new ControlClient({ socketPath: loadConfig(env).paths.controlSocket }).status()
      print(json ? `${JSON.stringify(status, null, 2)}\n` : renderStatus(status))
      done(0)
    })
  groupsCommand(program, { env, print, say, done })
  mountsCommand(program, { env, print, say, done })
  auditCommand(program, { env, print, say, done })
  sessionsCommand(program, { env, print, say, done })
  channelsCommand(program, { env, print, say, done })
  tasksCommand(program, { env, print, say, done })
  usageCommand(program, { env, print, say, done })
  serviceCommand(program, { env, print, say, done })
  doctorCommand(program, { env, print, say, done })
  logsCommand(program, { env, print, say, done })
  backupCommands(program, { env, print, say, done })
  updateCommands(program, { env, print, say, done })
  uninstallCommand(program, { env, print, say, done })
  add('build', 'write dist/index.js, which service units of v1 start').action(async () => {
    const { writeDist } = await import('./setup/build.ts')
    say(`Wrote ${writeDist(PROJECT)}`)
    done(0)
  })
  benchCommand(program, { env, print, say, done })
  add('test', 'install what the tests need and run them all, or only the named files')
    .argument('[files...]')
    .option('--fast', 'types, lint and the tests that need no container')
    .option('--changed [ref]', 'the tests that import what differs from a commit (default: HEAD)')
    .option('--long', 'what finds more the longer it runs: simulation, fuzzers, chaos and soak, from new seeds')
    .option('--mutate <count>', 'break that many random places of the files, and tell which breaks no test sees', wholeNumber)
    .option('--seed <n>', 'with --mutate: which places', wholeNumber)
    .action(async (files: string[], options: TestCommandOptions) => done(await test(files, options)))
  return program
}

function chatOptions(command: Command): Command {
  return command
    .option('--once <text>', 'say one thing, print the answer, and leave')
    .option('--group <folder>', 'the group to talk to (default: main)')
    .option('--timeout <seconds>', 'with --once: wait at most this long', seconds)
}

function seconds(text: string): number {
  const value = Number(text)
  if (!Number.isFinite(value) || value <= 0) throw new InvalidArgumentError('It is a number of seconds.')
  return value
}

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('It is a whole number.')
  return value
}

async function setUpAndChat(yes: boolean): Promise<ExitCode> {
  const state = await prepare({ command: 'chat', yes, login: true })
  if (state.state === 'demo') return demo({})
  return missing(state) ?? chat({})
}

async function chat(options: ChatOptions): Promise<ExitCode> {
  const command = await import('./chat.ts')
  return command.chat({ config: loadConfig(env), env, options })
}

async function demo(options: ChatOptions): Promise<ExitCode> {
  const command = await import('./demo.ts')
  return command.demo({ env, options })
}

/** Says what is missing; undefined when nothing is. */
function missing(state: SetupState): ExitCode | undefined {
  if (state.state !== 'missing') return undefined
  say('nanoclaw: something is missing:')
  for (const line of state.what) say(`  ${line}`)
  return 2
}

function prepare({ command, yes, login }: { command: string; yes: boolean; login: boolean }): Promise<SetupState> {
  const config = loadConfig(env)
  const ask = personAt({ input: process.stdin, output: process.stderr })
  const missingLogin = async () => {
    const { HostCredentials } = await import('../gateway/credentials.ts')
    const { apiKey, oauthToken } = loadConfig(env)
    const credential = await new HostCredentials({ apiKey, oauthToken }).current()
    return credential.kind === 'none' ? credential.why : undefined
  }
  return setup({
    project: PROJECT,
    home: config.root,
    env,
    say,
    ask,
    yes: mayInstall({ yes, command, ask }),
    ...(login ? { missingLogin } : {}),
  })
}

type TestCommandOptions = { fast?: true; long?: true; changed?: string | true; mutate?: number; seed?: number }

async function test(files: string[], { fast, long, changed, mutate, seed }: TestCommandOptions): Promise<ExitCode> {
  if (mutate !== undefined) {
    const { runMutants } = await import('../../tools/mutate/command.ts')
    return (await runMutants({ project: PROJECT, files, count: mutate, seed, since: changed, env, print, say })) ? 0 : 1
  }
  const { runTests } = await import('../../tools/test/command.ts')
  const depth = fast ? 'fast' : long ? 'long' : 'full'
  const prepareAll = () => prepare({ command: 'test', yes: true, login: false })
  const options = { project: PROJECT, files, depth, since: changed, env, say, print, prepare: prepareAll } as const
  return (await runTests(options)) === 0 ? 0 : 1
}
