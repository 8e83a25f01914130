import type { Command } from 'commander'
import { loadConfig } from '../../config.ts'
import { AppError } from '../../domain/errors.ts'
import type { CommandContext } from '../groups.ts'
import type { Environment } from '../host.ts'
import { chooseManager } from './choose.ts'
import { serviceFacts, withRuntimeFolder } from './facts.ts'
import { LaunchdService } from './launchd.ts'
import { installationParts } from './parts.ts'
import { runner } from './run.ts'
import type { Service, ServiceState } from './service.ts'
import { SystemdService } from './systemd.ts'

type Options = { system?: true; json?: true }

/** Adds `service install|uninstall|start|stop|restart|status`. */
export function serviceCommand(program: Command, { env, print, say, done }: CommandContext): void {
  const service = program.command('service').description('run the host in the background, from boot on').exitOverride()
  const add = (name: string, description: string) =>
    service.command(name).description(description).option('--system', 'of the whole machine, as root').exitOverride()
  const change = (name: 'install' | 'uninstall' | 'start' | 'stop' | 'restart', description: string) =>
    add(name, description).action(async ({ system }: Options) => {
      const lines = await serviceOf(env, system ?? false)[name]()
      for (const line of lines ?? []) say(line)
      done(0)
    })
  change('install', 'have it started now and whenever this machine starts')
  change('uninstall', 'end that; groups, data and settings stay')
  change('start', 'start it')
  change('stop', 'stop it, after what is under way')
  change('restart', 'stop it and start it, e.g. after a change in .env')
  add('status', 'does it run; ends with 3 if not')
    .option('--json', 'as JSON')
    .action(async ({ system, json }: Options) => {
      const state = await serviceOf(env, system ?? false).state()
      print(json ? `${JSON.stringify(state, null, 2)}\n` : renderState(state))
      done(state.running ? 0 : 3)
    })
}

/** Throws, saying what to do instead, where nothing can keep the host running. */
export function serviceOf(env: Environment, system = false): Service {
  const facts = serviceFacts(env)
  const manager = chooseManager(facts, system ? 'system' : 'user')
  if (manager.type === 'none') {
    const message = [manager.why, ...manager.fix].join('\n  ')
    throw new AppError({ code: 'input.service', fault: 'user', message })
  }
  const config = loadConfig(env)
  const parts = installationParts({ config, env })
  const run = runner(withRuntimeFolder(env))
  if (manager.type === 'launchd') return new LaunchdService({ user: facts.user, parts, run })
  return new SystemdService({ scope: manager.scope, user: facts.user, parts, run })
}

/** Those that this machine could have: of this user, and of the whole machine; none where nothing can keep a host running. */
export function servicesOf(env: Environment): Service[] {
  return [false, true].flatMap((system) => {
    try {
      return [serviceOf(env, system)]
    } catch (error) {
      if (error instanceof AppError && error.code === 'input.service') return []
      throw error
    }
  })
}

export function renderState({ installed, file, detail, notes }: ServiceState): string {
  const head = installed ? [`nanoclaw: ${detail}`, `  ${file}`] : ['There is no service yet: ./nanoclaw service install']
  return `${[...head, ...notes].join('\n')}\n`
}
