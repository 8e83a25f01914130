import type { HostStatus } from '@nanoclaw/protocol'
import { duration } from './terminal/duration.ts'
import { oneLine, width } from './terminal/text.ts'

/** The state of the host for a person: what is wrong stands with a `!`, lists without entries say so. */
export function renderStatus(status: HostStatus, { now = Date.now() }: { now?: number } = {}): string {
  const sections = [
    head(status),
    groupTable(status),
    countLines(status),
    containerTable(status, now),
    channelTable(status),
    ...troubleTable(status, now),
  ]
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

function head({ version, ready, pid, root, web }: HostStatus): string[] {
  const state = ready ? 'ready' : '! not ready yet'
  return [
    `NanoClaw ${oneLine(version)}, ${state}`,
    ...table([
      ['process', String(pid)],
      ['folder', root],
      ['dashboard', web.url ?? 'off'],
    ]),
  ]
}

function groupTable({ groups }: HostStatus): string[] {
  if (groups.length === 0) return ['! No groups are registered.']
  const rows = groups.map(({ folder, name, isMain, state, chats, sessionId }) => [
    isMain ? `${folder} (main)` : folder,
    name,
    state,
    sessionId ?? '-',
    chats.join(' ') || '! none',
  ])
  return table([['GROUP', 'NAME', 'STATE', 'SESSION', 'CHATS'], ...rows])
}

function countLines({ turns, outbox }: HostStatus): string[] {
  return table([
    ['turns', `${turns.running} running`, `${turns.pending} pending`, counted(turns.failed, 'failed'), ''],
    [
      'outbox',
      '',
      `${outbox.pending} pending`,
      counted(outbox.failed, 'failed'),
      outbox.uncertain > 0 ? `! ${outbox.uncertain} uncertain (may have arrived twice, or not)` : '0 uncertain',
    ],
  ])
}

function counted(count: number, what: string): string {
  return `${count > 0 ? '! ' : ''}${count} ${what}`
}

function containerTable({ containers }: HostStatus, now: number): string[] {
  if (containers.length === 0) return ['No containers run.']
  const rows = containers.map(({ name, group, lane, state, startedAt }) => [
    name,
    group,
    lane,
    state,
    duration(Math.max(now - startedAt, 0)),
  ])
  return table([['CONTAINER', 'GROUP', 'LANE', 'STATE', 'AGE'], ...rows])
}

function channelTable({ channels }: HostStatus): string[] {
  if (channels.length === 0) return ['! No channels are connected.']
  const rows = channels.map(({ name, state, detail }) => [name, state === 'online' ? state : `! ${state}`, detail ?? ''])
  return table([['CHANNEL', 'STATE', ''], ...rows])
}

/** Nothing at all when there is none. */
function troubleTable({ troubles }: HostStatus, now: number): string[][] {
  if (troubles.length === 0) return []
  const rows = troubles.map(({ kind, where, since, why }) => [`! ${kind}`, where || '-', `${ago(now - since)} ago`, why])
  return [[...table([['TROUBLE', 'WHERE', 'SINCE', 'WHY'], ...rows]), 'What is over is shown for 7 days.']]
}

function ago(ms: number): string {
  const days = Math.floor(ms / 86_400_000)
  return days > 0 ? `${days}d` : duration(Math.max(ms, 0))
}

/** Columns as wide as their widest cell. Names come from chats and folders, so they are shown harmlessly. */
function table(rows: readonly string[][]): string[] {
  const cells = rows.map((row) => row.map(oneLine))
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => width(row[column] ?? ''))))
  const padded = (cell: string, column: number) => cell + ' '.repeat((widths[column] ?? 0) - width(cell))
  return cells.map((row) => row.map(padded).join('  ').trimEnd())
}
