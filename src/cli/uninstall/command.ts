import type { Command } from 'commander'
import { type Config, loadConfig, PROJECT } from '../../config.ts'
import { AppError } from '../../domain/errors.ts'
import type { ContainerRuntime } from '../../runtimes/contract.ts'
import type { CommandContext } from '../groups.ts'
import { personAt } from '../setup/person.ts'
import type { Extent } from './uninstall.ts'

type Options = { keepData?: true; all?: true }

/** Adds `uninstall`. */
export function uninstallCommand(program: Command, context: CommandContext): void {
  program
    .command('uninstall')
    .description('remove the service, the containers, the image and the libraries, and your data only if you say so')
    .exitOverride()
    .option('--keep-data', 'groups, messages and settings stay, and nothing is asked')
    .option('--all', 'groups, messages, settings and backups in its folder go as well, and nothing is asked')
    .action((options: Options) => run(context, options))
}

async function run({ env, say, done }: CommandContext, options: Options): Promise<void> {
  const { uninstall } = await import('./uninstall.ts')
  const { runner } = await import('../service/run.ts')
  const { servicesOf } = await import('../service/command.ts')
  const config = loadConfig(env)
  const extent = await extentOf(config, options)
  if (extent === undefined) {
    say('Nothing was removed.')
    return done(1)
  }
  const runtime = await engine(config, env)
  await uninstall({ config, project: PROJECT, services: servicesOf(env), runtime, run: runner(env), say }, extent)
  say(
    `What is left: the program in ${PROJECT}${extent === 'all' ? '' : `, your data in ${config.root}`}, and the allowlists in ~/.config/nanoclaw.`,
  )
  done(0)
}

async function extentOf({ root, image }: Config, { keepData, all }: Options): Promise<Extent | undefined> {
  if (keepData && all) throw unclear('--keep-data and --all exclude each other.')
  if (keepData) return 'keep-data'
  if (all) return 'all'
  const person = personAt({ input: process.stdin, output: process.stderr })
  if (!person) throw unclear('Nobody is there to ask: say --keep-data or --all.')
  if (!(await person.confirm(`Remove NanoClaw's service, its containers, the image ${image} and its libraries?`)))
    return undefined
  if (await person.confirm(`Keep groups, messages, settings and backups in ${root}?`)) return 'keep-data'
  const sure = await person.secret('They cannot be had back. Type "remove" to remove them: ')
  return sure === 'remove' ? 'all' : undefined
}

async function engine(config: Config, env: CommandContext['env']): Promise<ContainerRuntime | undefined> {
  const { engineRuntime } = await import('../../runtimes/engine-runtime.ts')
  try {
    const runtime = await engineRuntime({ env: { ...env, CONTAINER_RUNTIME: config.containerRuntime } })
    await runtime.info()
    return runtime
  } catch (error) {
    if (error instanceof AppError && error.fault === 'engine') return undefined
    throw error
  }
}

function unclear(message: string): AppError {
  return new AppError({ code: 'input.uninstall', fault: 'user', message })
}
