import type { HostStatus, LoginEvent } from '@nanoclaw/protocol'
import { type Command, InvalidArgumentError } from 'commander'
import { type Config, loadConfig } from '../config.ts'
import { AppError } from '../domain/errors.ts'
import type { CommandContext } from './groups.ts'
import { table } from './table.ts'

/** A channel in one of the host's states or, with no host, `stopped`: since nobody knows when. */
type ChannelStatus = Omit<HostStatus['channels'][number], 'since'> & { since: number | null }
type LoginOptions = { phone?: string; json?: boolean }

/** What a login takes: where the host runs, it does it. */
export type Linking = {
  login(request: { name: string; phone?: string | undefined; signal: AbortSignal }): AsyncIterable<LoginEvent>
  logout(name: string): Promise<{ text: string }>
}

/** Adds `channels list|status|login|logout`. */
export function channelsCommand(program: Command, context: CommandContext): void {
  const channels = program.command('channels').description('the ways in and out, and the accounts they use').exitOverride()
  const add = (name: string, description: string) => channels.command(name).description(description).exitOverride()
  add('list', 'all channels and how they are')
    .option('--json', 'as JSON')
    .action(({ json }: { json?: boolean }) => list(context, { json: json ?? false }))
  add('status', 'how one channel is')
    .argument('<name>')
    .option('--json', 'as JSON')
    .action((name: string, { json }: { json?: boolean }) => list(context, { name, json: json ?? false }))
  add('login', 'link an account, by a QR code or a code to type on the phone')
    .argument('<name>', 'the channel, e.g. whatsapp')
    .option('--phone <number>', "show a code to type instead; the account's number with its country code", phoneNumber)
    .option('--json', 'one JSON object a line, for programs')
    .action((name: string, options: LoginOptions) => login(context, name, options))
  add('logout', 'end the link and forget it')
    .argument('<name>')
    .action((name: string) => logout(context, name))
}

export function phoneNumber(text: string): string {
  const digits = text.replace(/^00/, '').replace(/[\s()+./-]/g, '')
  if (/^\d{7,15}$/.test(digits)) return digits
  throw new InvalidArgumentError('It is a phone number with its country code, e.g. +49 1512 3456789.')
}

async function list({ env, print, done }: CommandContext, { name, json }: { name?: string; json: boolean }): Promise<void> {
  const all = await known(loadConfig(env))
  const wanted = name === undefined ? all : all.filter((channel) => channel.name === name)
  if (name !== undefined && wanted.length === 0) throw unknownChannel(name)
  const [first] = wanted
  if (json) print(`${JSON.stringify(name === undefined ? wanted : first, null, 2)}\n`)
  else print(`${table([['CHANNEL', 'STATE', ''], ...wanted.map((one) => [one.name, one.state, one.detail ?? ''])]).join('\n')}\n`)
  done(0)
}

/** As the host says; where none runs, what lies on disk tells which are linked. */
async function known(config: Config): Promise<ChannelStatus[]> {
  const { ControlClient } = await import('./control-client.ts')
  const { linkableChannels } = await import('./channel-linking.ts')
  const linkable = linkableChannels(config)
  const running = await new ControlClient({ socketPath: config.paths.controlSocket }).status().catch((error) => {
    if (error instanceof AppError && error.code === 'host.not-running') return undefined
    throw error
  })
  const stopped = (detail: string) => ({ state: 'stopped', detail, since: null })
  if (!running)
    return [
      { name: 'terminal', ...stopped('the host is not running') },
      ...linkable.map(({ name, linked, why = 'not linked' }) => ({
        name,
        ...stopped(linked ? 'linked; the host is not running' : why),
      })),
    ]
  const others = linkable.filter(({ name }) => !running.channels.some((channel) => channel.name === name))
  return [
    ...running.channels,
    ...others.map(({ name }) => ({ name, state: 'not-linked', detail: `./nanoclaw channels login ${name}`, since: null })),
  ]
}

async function login({ env, print, say, done }: CommandContext, name: string, { phone, json }: LoginOptions): Promise<void> {
  const { withLinking } = await import('./channel-linking.ts')
  const { stopSignals } = await import('./signals.ts')
  const show = json ? (event: LoginEvent) => print(`${JSON.stringify(event)}\n`) : await viewOf({ print, say })
  const { first: signal } = stopSignals()
  let last: LoginEvent | undefined
  await withLinking({ config: loadConfig(env), name, say }, async (linking) => {
    for await (const event of linking.login({ name, phone, signal })) {
      show(event)
      last = event
    }
  })
  done(last?.type === 'online' ? 0 : 1)
}

async function logout({ env, say, done }: CommandContext, name: string): Promise<void> {
  const { withLinking } = await import('./channel-linking.ts')
  await withLinking({ config: loadConfig(env), name, say }, async (linking) => say((await linking.logout(name)).text))
  done(0)
}

/** A login as a person sees it: the code on stdout, what to do with it on stderr. */
async function viewOf({ print, say }: Pick<CommandContext, 'print' | 'say'>): Promise<(event: LoginEvent) => void> {
  const { renderUnicodeCompact } = await import('uqr').catch(() => Promise.reject(notInstalled()))
  return (event) => {
    switch (event.type) {
      case 'qr':
        say('On the phone: Settings > Linked devices > Link a device. Then scan this; it changes now and then:')
        return print(`${renderUnicodeCompact(event.data, { border: 2 })}\n`)
      case 'code':
        say('On the phone: Settings > Linked devices > Link a device > Link with phone number instead. Then type:')
        return print(`${event.code.slice(0, 4)}-${event.code.slice(4)}\n`)
      case 'online':
        return say(`Linked to ${event.account}.`)
      case 'failed':
        return say(`nanoclaw: it was not linked: ${event.why}.`)
    }
  }
}

export function unknownChannel(name: string): AppError {
  const message = `There is no channel "${name}". ./nanoclaw channels list shows them.`
  return new AppError({ code: 'input.channel', fault: 'user', message })
}

function notInstalled(): AppError {
  const message = 'The library for WhatsApp is not installed. ./nanoclaw installs it: call that instead of src/cli/main.ts.'
  return new AppError({ code: 'whatsapp.not-installed', fault: 'user', message })
}
