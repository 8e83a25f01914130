import type { AuditNote } from '../domain/audit.ts'
import type { Instant } from '../domain/clock.ts'
import type { Store } from '../store/store.ts'

export type AuditPorts = { store: Pick<Store, 'audit' | 'tx' | 'onRollback'>; now(): Instant; redact(text: string): string }

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

  /**
   * In the transaction of what it is about, where there is one. If that rolls back, the entry counts as never made, so the next
   * one of its kind is written.
   */
  note(note: AuditNote): void {
    if (note.by === 'owner') return this.#write(note, 1)
    const words = JSON.stringify(note)
    const key = note.outcome === 'refused' ? JSON.stringify([note.by, note.folder, note.act]) : words
    const window = this.#window(key)
    if (window.written.size >= REFUSALS_PER_HOUR || window.written.has(words)) return this.#count(window, note)
    this.#together(() => {
      window.written.add(words)
      this.#ifUndone(() => window.written.delete(words))
      this.#write(note, 1)
    })
  }

  #count({ more }: Window, note: AuditNote): void {
    const before = more.get(note.act)
    more.set(note.act, { note, count: (before?.count ?? 0) + 1 })
    this.#ifUndone(() => (before ? more.set(note.act, before) : more.delete(note.act)))
  }

  #window(key: string): Window {
    const now = this.#ports.now()
    const open = this.#windows.get(key)
    if (open && open.until > now) return open
    if (open) this.#end(key, open)
    const window = { until: now + HOUR_MS, written: new Set<string>(), more: new Map() }
    this.#windows.set(key, window)
    this.#ifUndone(() => this.#windows.delete(key))
    return window
  }

  /** Writes the counts of hours that are over; with `all`, of all: the host stops. */
  settle({ all = false }: { all?: boolean } = {}): void {
    const now = this.#ports.now()
    for (const [key, window] of this.#windows) {
      if (all || window.until <= now) this.#end(key, window)
    }
    this.#ports.store.audit.prune(now - KEPT_MS)
  }

  /** The counts are written and forgotten together, or neither. */
  #end(key: string, window: Window): void {
    this.#together(() => {
      this.#windows.delete(key)
      this.#ifUndone(() => this.#windows.set(key, window))
      for (const { note, count } of window.more.values()) this.#write(note, count)
    })
  }

  #together(work: () => void): void {
    this.#ports.store.tx(work)
  }

  /** What is remembered follows what is stored. */
  #ifUndone(undo: () => void): void {
    this.#ports.store.onRollback('Forgetting an entry of the audit that was not stored', undo)
  }

  #write(note: AuditNote, count: number): void {
    const { store, now, redact } = this.#ports
    const subject = redact(note.subject).slice(0, LONGEST_SUBJECT)
    const detail = redact(note.detail).slice(0, LONGEST_DETAIL)
    store.audit.add({ ...note, subject, detail, count, at: now() })
  }
}
