import path from 'node:path'
import { AuditBook } from '../app/audit-book.ts'
import { Feed } from '../app/feed.ts'
import { ensureMain } from '../app/groups.ts'
import { Inbox } from '../app/inbox.ts'
import { type LinkOnDisk, linkOnDisk } from '../channels/whatsapp/database.ts'
import { type Config, PROJECT, policyFile } from '../config.ts'
import { containerUser } from '../container/folders.ts'
import type { AuditNote } from '../domain/audit.ts'
import { AppError } from '../domain/errors.ts'
import { makeWhatsApp } from '../host/channels.ts'
import { prepareRoot } from '../project.ts'
import { Secrets } from '../secrets.ts'
import { SenderAllowlist } from '../sender-allowlist.ts'
import { HostLock } from '../store/lock.ts'
import { Store } from '../store/store.ts'
import { linkNote, loginEvents, noting } from '../web/channels-api.ts'
import { type Linking, unknownChannel } from './channels.ts'
import { ControlClient } from './control-client.ts'

type Where = { config: Config; name: string; say(line: string): void }

/** The channels that a person can link, and whether somebody has. */
export function linkableChannels({ root }: Config): ({ name: string } & LinkOnDisk)[] {
  return [{ name: 'whatsapp', ...linkOnDisk(path.join(root, 'store', 'auth')) }]
}

/** Does something about an account's link through the host; where none runs, in its place, with its lock. */
export async function withLinking(where: Where, use: (linking: Linking) => Promise<void>): Promise<void> {
  const { config, name } = where
  if (!linkableChannels(config).some((channel) => channel.name === name)) throw unknownChannel(name)
  const client = new ControlClient({ socketPath: config.paths.controlSocket })
  const throughHost: Linking = {
    login: (request) => client.loginChannel(request),
    logout: (channel) => client.logoutChannel(channel),
  }
  try {
    await client.status()
  } catch (error) {
    if (error instanceof AppError && error.code === 'host.not-running') return withoutHost(where, use)
    throw error
  }
  return use(throughHost)
}

/** What arrives meanwhile is stored, and answered by the next host. */
async function withoutHost({ config, say }: Where, use: (linking: Linking) => Promise<void>): Promise<void> {
  const { root, paths } = config
  const owner = containerUser({ uid: process.getuid?.() ?? 1000, gid: process.getgid?.() ?? 1000 })
  prepareRoot({ root, project: PROJECT, owner })
  const lock = HostLock.take({ lock: paths.lock, holder: paths.holder, pid: process.pid, now: new Date() })
  const store = Store.open(paths.database, say)
  const life = new AbortController()
  const log = { debug() {}, info: say, warn: say, error: say }
  const book = new AuditBook({ store, now: Date.now, redact: new Secrets(config).redact })
  const audit = (note: AuditNote) => store.afterCommit('Writing the audit', () => book.note(note))
  const senders = new SenderAllowlist({ file: policyFile(config.userHome, 'sender-allowlist.json'), onBroken: say })
  const whatsapp = makeWhatsApp({ config, store, senders, log })
  try {
    ensureMain(store, Date.now())
    await whatsapp.start(
      new Inbox({
        store,
        feed: new Feed(console),
        wake: () => {},
        deliver: () => {},
        takeCommand: () => undefined,
        judge: senders.judge,
        onDropped: ({ jid, sender }, folder) =>
          audit({ by: 'sender', folder, act: 'message', subject: sender, outcome: 'refused', detail: `not kept, in ${jid}` }),
      }),
      life.signal,
    )
    await use({
      login: ({ name, phone, signal }) =>
        loginEvents((tell) => whatsapp.login({ phone, tell: noting({ tell, audit, name }), signal })),
      logout: async (name) => {
        await whatsapp.logout()
        audit(linkNote({ act: 'unlink-channel', name, detail: 'no longer linked' }))
        return { text: `${name} is no longer linked.` }
      },
    })
  } finally {
    life.abort()
    await whatsapp.stop()
    store.close()
    lock.release()
  }
}
