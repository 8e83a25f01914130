import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { MountList } from '../app/mount-admin.ts'
import { loadConfig, mountRules } from '../config.ts'
import type { ExtraMount } from '../domain/group.ts'
import { judgeMounts, type MountVerdict } from '../mount-security.ts'
import { type CommandContext, changeGroups } from './groups.ts'
import { table } from './table.ts'

type CheckOptions = { group?: string; rw?: true; json?: true }

/** Adds `mounts list|check|allow|remove`. */
export function mountsCommand(program: Command, context: CommandContext): void {
  const mounts = program.command('mounts').description('which folders of this machine groups may have').exitOverride()
  const add = (name: string, description: string) => mounts.command(name).description(description).exitOverride()
  add('list', 'the allowed roots, and what each group gets of the folders it wants')
    .option('--json', 'as JSON')
    .action(async ({ json }: { json?: boolean }) => list(context, json ?? false))
  add('check', 'would this folder be mounted, and how; nothing is changed')
    .argument('<path>')
    .option('--group <folder>', 'for this group (default: main)')
    .option('--rw', 'for writing')
    .option('--json', 'as JSON')
    .action(async (path: string, options: CheckOptions) => check(context, path, options))
  add('allow', 'let folders below this one be mounted')
    .argument('<path>')
    .option('--rw', 'for writing too')
    .option('--description <words>', 'what it is, for people who read the allowlist')
    .action((path: string, { rw, description }: { rw?: true; description?: string }) =>
      changeGroups(context, (admin) => admin.allowMount({ path: absolute(path), readWrite: rw ?? false, description })),
    )
  add('remove', 'take an allowed root back')
    .argument('<path>')
    .action((path: string) => changeGroups(context, (admin) => admin.removeMount(absolute(path))))
}

/** As it is seen from here, not from where the host was started. */
function absolute(given: string): string {
  return given === '~' || given.startsWith('~/') ? given : resolve(given)
}

async function list({ env, print, done }: CommandContext, json: boolean): Promise<void> {
  const { readStore } = await import('./group-admin.ts')
  const { mountList } = await import('../app/mount-admin.ts')
  const config = loadConfig(env)
  const groups = readStore(config, { read: (store) => store.groups.all(), empty: [] })
  const mounts = await mountList(groups, mountRules(config))
  print(json ? `${JSON.stringify(mounts, null, 2)}\n` : renderMounts(mounts))
  done(0)
}

/** Exit code 1 when it would be refused, so that a script can ask. */
async function check({ env, print, done }: CommandContext, path: string, { group, rw, json }: CheckOptions): Promise<void> {
  const { readStore } = await import('./group-admin.ts')
  const config = loadConfig(env)
  const isMain = readStore(config, {
    read: (store) => (group === undefined ? true : (store.groups.find(group)?.isMain ?? false)),
    empty: group === undefined,
  })
  const wish: ExtraMount = { hostPath: absolute(path), readonly: !rw }
  const [verdict] = await judgeMounts([wish], { isMain }, mountRules(config))
  if (!verdict) return done(1)
  print(json ? `${JSON.stringify(verdict, null, 2)}\n` : `${verdictText(verdict)}\n`)
  done(verdict.type === 'allowed' ? 0 : 1)
}

export function renderMounts({ allowlist, problem, roots, groups }: MountList): string {
  const head = problem === null ? [`Allowed roots (${allowlist}):`] : [`! ${problem}`]
  const rows = roots.map(({ path, allowReadWrite, description }) => [
    `  ${path}`,
    allowReadWrite ? 'read-write' : 'read-only',
    description ?? '',
  ])
  const none = problem === null && rows.length === 0 ? ['  none'] : []
  const wanted = groups.flatMap(({ folder, mounts }) => ['', `Group ${folder}:`, ...mounts.map((one) => `  ${verdictText(one)}`)])
  return `${[...head, ...none, ...(rows.length > 0 ? table(rows) : []), ...wanted].join('\n')}\n`
}

function verdictText(verdict: MountVerdict): string {
  if (verdict.type === 'refused') return `! ${verdict.hostPath} is not mounted: ${verdict.why}`
  const mode = `${verdict.readonly ? 'read-only' : 'read-write'}${verdict.note ? `, because ${verdict.note}` : ''}`
  return `${verdict.source} -> ${verdict.target} (${mode})`
}
