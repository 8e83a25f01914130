import type { AuditNote } from '../domain/audit.ts'
import type { Instant } from '../domain/clock.ts'
import type { Store } from '../store/store.ts'

export type AuditPorts = { store: Pick<Store, 'audit'>; now(): Instant; redact(text: string): string }

const HOUR_MS = 60 * 60_000
/** So many different refusals of one act of one group are written one by one in an hour; of the rest, the number. */
const REFUSALS_PER_HOUR = 30
const LONGEST_SUBJECT = 500
const LONGEST_DETAIL = 1_000
const KEPT_MS = 367 * 24 * HOUR_MS

/** An hour of one kind of entries; `more` holds those that are counted only, by act, each with its newest words. */
type Window = { until: Instant; written: Set<string>; more: Map<string, { note: AuditNote; count: number }> }

/**
 * Writes down what was decided or refused for safety's sake. Whatever asks in a loop fills a counter, not the disk: of the
 * owner every entry is kept; of all others, for an hour, what differs from what was written before, and so many refusals at most.
 */
export class AuditBook {
  readonly #ports: AuditPorts
  readonly #windows = new Map<string, Window>()

  constructor(ports: AuditPorts) {
    this.#ports = ports
  }

  /** In the transaction of what it is about, where there is one. */
  note(note: AuditNote): void {
    if (note.by === 'owner') return this.#write(note, 1)
    const words = JSON.stringify(note)
    const key = note.outcome === 'refused' ? JSON.stringify([note.by, note.folder, note.act]) : words
    const { written, more } = this.#window(key)
    if (written.size < REFUSALS_PER_HOUR && !written.has(words)) {
      written.add(words)
      return this.#write(note, 1)
    }
    const { count } = more.get(note.act) ?? { count: 0 }
    more.set(note.act, { note, count: count + 1 })
  }

  #window(key: string): Window {
    const now = this.#ports.now()
    const open = this.#windows.get(key)
    if (open && open.until > now) return open
    if (open) this.#close(open)
    const window = { until: now + HOUR_MS, written: new Set<string>(), more: new Map() }
    this.#windows.set(key, window)
    return window
  }

  /** Writes the counts of hours that are over; with `all`, of all: the host stops. */
  settle({ all = false }: { all?: boolean } = {}): void {
    const now = this.#ports.now()
    for (const [key, window] of this.#windows) {
      if (!all && window.until > now) continue
      this.#windows.delete(key)
      this.#close(window)
    }
    this.#ports.store.audit.prune(now - KEPT_MS)
  }

  #close({ more }: Window): void {
    for (const { note, count } of more.values()) this.#write(note, count)
  }

  #write(note: AuditNote, count: number): void {
    const { store, now, redact } = this.#ports
    const subject = redact(note.subject).slice(0, LONGEST_SUBJECT)
    const detail = redact(note.detail).slice(0, LONGEST_DETAIL)
    store.audit.add({ ...note, subject, detail, count, at: now() })
  }
}
