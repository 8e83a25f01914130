import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { localJid } from '../../src/domain/group.ts'
import { Store } from '../../src/store/store.ts'

export type TestContext = { after(fn: () => unknown): void }

/** An empty folder that is gone after the test. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The real store, with these groups and a terminal chat for each. The group `main` is main. */
export function storeWith(t: TestContext, groups: readonly string[]): { store: Store; folder: string } {
  const folder = temporaryFolder(t)
  const store = Store.open(path.join(folder, 'messages.db'))
  t.after(() => store.close())
  for (const group of groups) {
    store.groups.add({ folder: group, name: group, isMain: group === 'main', config: {} }, 0)
    registerChat(store, { jid: localJid(group), folder: group })
  }
  return { store, folder }
}

/** A chat that needs no trigger. */
export function registerChat(store: Store, { jid, folder }: { jid: string; folder: string }): void {
  store.chats.see({ jid })
  store.groups.register({ jid, folder, trigger: null, requiresTrigger: false }, 0)
}
