import type { Command } from 'commander'
import { loadConfig, PROJECT } from '../../config.ts'
import type { CommandContext } from '../groups.ts'

/** Adds `update`, and `migrate`, by which an update tries a new version. */
export function updateCommands(program: Command, context: CommandContext): void {
  program
    .command('update')
    .description('go to the newest release; when it does not work, code and data return together')
    .exitOverride()
    .argument('[release]', 'another one than the newest, e.g. v1.2.3')
    .option('--check', 'only say what there is')
    .action((release: string | undefined, options: { check?: true }) => run(context, release, options))
  program
    .command('migrate', { hidden: true })
    .description('take over a copy of a database, as a start of this version would')
    .exitOverride()
    .argument('<file>')
    .action(async (file: string) => {
      const { Store } = await import('../../store/store.ts')
      Store.open(file, context.say).close()
      context.done(0)
    })
}

async function run({ env, say, done }: CommandContext, release: string | undefined, { check }: { check?: true }): Promise<void> {
  const { Checkout } = await import('./checkout.ts')
  const { keeperOf } = await import('./keeper.ts')
  const { update } = await import('./update.ts')
  const { servicesOf } = await import('../service/command.ts')
  const config = loadConfig(env)
  const checkout = new Checkout({ project: PROJECT, env })
  const from = await checkout.current()
  const to = await checkout.wanted(release)
  if (from.commit === to.commit) say(`${from.version} runs, which is ${release === undefined ? 'the newest' : 'that one'}.`)
  else if (check) say(`${from.version} runs; ./nanoclaw update goes to ${to.version}.`)
  else {
    const keeper = await keeperOf({ config, env, project: PROJECT, services: servicesOf(env) })
    await update({ config, env, checkout, keeper, say, now: () => new Date() }, { from, to })
    say(`Updated to ${to.version}.`)
  }
  done(0)
}
