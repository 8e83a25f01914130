import assert from 'node:assert/strict'
import path from 'node:path'
import type { TestContext } from 'node:test'
import { openDatabase } from '../../src/store/database.ts'
import { Store } from '../../src/store/store.ts'
import { digestOf } from './digest.ts'
import { databaseIn } from './life.ts'
import type { Recording } from './operations.ts'
import { record } from './record.ts'
import { type Found, type Search, searchImages } from './survival.ts'

const PROGRAM = path.join(import.meta.dirname, 'life-program.ts')

/** What a life of the store does to its disk, from an empty or given root on. */
export function recordLife(root: string, { rounds, synchronous = 'FULL' }: { rounds: number; synchronous?: string }): Recording {
  return record({ root, program: PROGRAM, args: [root, String(rounds), synchronous] })
}

/**
 * Opens what is found with the real store: it must be sound, hold exactly what the last told commit or the one under way
 * made of it, and go on.
 */
export function holdsEveryCommit({ operations }: Recording): Search['check'] {
  const states = operations.flatMap((operation) => (operation.type === 'told' ? [operation.text.trim()] : []))
  return ({ root, told }: Found) => {
    const db = openDatabase(databaseIn(root))
    try {
      assert.equal(db.pragma('quick_check', { simple: true }), 'ok')
      assert.deepEqual(db.pragma('foreign_key_check'), [])
      const found = digestOf(db)
      const possible = states.slice(Math.max(told.length - 1, 0), told.length + 1)
      const position = states.lastIndexOf(found)
      const what = position < 0 ? 'what no commit ever made' : `commit ${position + 1}`
      assert.ok(possible.includes(found), `${told.length} commits were told, found is ${what}`)
      const store = new Store(db)
      store.tx(() => store.facts.set('after', 'the power cut'))
    } finally {
      db.close()
    }
  }
}

/** Fails with the images of which the check says that something is lost. */
export function survives(t: TestContext, search: Search): void {
  const { failures, images, moments } = searchImages(search)
  t.diagnostic(`${images} images at ${moments} moments`)
  assert.deepEqual(failures, [])
  assert.ok(images > 100 || process.env.POWER_CASE, 'there were images to check')
}

/** The same recording where nobody synced these inodes. */
export function withoutSyncs({ start, operations }: Recording, inodes: Set<number>): Recording {
  return { start, operations: operations.filter((operation) => operation.type !== 'sync' || !inodes.has(operation.inode)) }
}

export function inodesCalled({ operations }: Recording, name: string): Set<number> {
  return new Set(
    operations.flatMap((operation) => (operation.type === 'link' && operation.name === name ? [operation.inode] : [])),
  )
}
