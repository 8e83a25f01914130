import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { localJid } from '../../src/domain/group.ts'
import { openDatabase } from '../../src/store/database.ts'
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
  const file = path.join(folder, 'messages.db')
  writeFileSync(file, newDatabase())
  const store = openStore(file)
  t.after(() => store.close())
  store.tx(() => {
    for (const group of groups) {
      store.groups.add({ folder: group, name: group, isMain: group === 'main', config: {} }, 0)
      registerChat(store, { jid: localJid(group), folder: group })
    }
  })
  return { store, folder }
}

/**
 * The real store on a file that is there. It outlives its process, but no power cut: no commit waits for the disk, which is
 * most of what a commit takes. `test/power` has the store as it is in the host.
 */
export function openStore(file: string): Store {
  const db = openDatabase(file)
  db.pragma('synchronous = OFF')
  return new Store(db)
}

let emptyDatabase: Buffer | undefined

/** The bytes of a database as the store makes it. To copy them takes a fraction of making them, so they are made once. */
function newDatabase(): Buffer {
  if (emptyDatabase) return emptyDatabase
  const folder = mkdtempSync(path.join(os.tmpdir(), 'nanoclaw-test-'))
  try {
    const file = path.join(folder, 'messages.db')
    Store.open(file).close()
    emptyDatabase = readFileSync(file)
    return emptyDatabase
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A chat that needs no trigger. */
export function registerChat(store: Store, { jid, folder }: { jid: string; folder: string }): void {
  store.chats.see({ jid })
  store.groups.register({ jid, folder, trigger: null, requiresTrigger: false }, 0)
}
