import { z } from 'zod'
import type { Instant } from '../domain/clock.ts'
import type { Store } from '../store/store.ts'

const FACT = 'migration_notes'
const notes = z.array(z.object({ at: z.int(), text: z.string() }))

/** What a person should know of how an older database was taken over, oldest first. */
export function migrationNotes(store: Store): { at: Instant; text: string }[] {
  return notes.parse(JSON.parse(store.facts.get(FACT) ?? '[]'))
}

/** Keeps what a migration said, which happens before there is a store to keep it in. What is said again is said anew. */
export function keepMigrationNotes(store: Store, texts: readonly string[], at: Instant): void {
  if (texts.length === 0) return
  const others = migrationNotes(store).filter(({ text }) => !texts.includes(text))
  store.facts.set(FACT, JSON.stringify([...others, ...texts.map((text) => ({ at, text }))]))
}
