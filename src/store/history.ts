import type { Database, Statement } from 'better-sqlite3'
import { z } from 'zod'

/** Something that was said, as a search finds it. */
export type Said = { jid: string; senderName: string; text: string; sentAt: number }

const row = z.object({ jid: z.string(), senderName: z.string(), text: z.string(), sentAt: z.int() })
/** The index knows pieces of three characters; words that are shorter are looked for in what was said last. */
const SHORTEST_INDEXED = 3
const LOOKED_AT = 20_000
/** The index is of all groups: of what it finds, so much is asked whose it is, so that nobody's question holds the host up. */
const MOST_HITS = 100_000
/** Each word costs a search of its own. */
const MOST_WORDS = 8

/** What was said in a group's chats, searched by its text. */
export class History {
  readonly #indexed: Statement
  readonly #newest: Statement

  constructor(db: Database, { mostHits = MOST_HITS } = {}) {
    const columns = 'm.chat_jid AS jid, m.sender_name AS senderName, m.content AS text, m.timestamp AS sentAt'
    const ofGroup = 'm.chat_jid IN (SELECT jid FROM registered_groups WHERE folder = :folder)'
    this.#indexed = db.prepare(`
      SELECT ${columns} FROM (
        SELECT rowid AS seq FROM messages_text WHERE messages_text MATCH :words ORDER BY rowid DESC LIMIT ${mostHits}
      ) JOIN messages AS m USING (seq) WHERE ${ofGroup} ORDER BY seq DESC LIMIT ${LOOKED_AT}`)
    // Of each chat its newest, and of these the newest of all: their numbers first, so that only these rows are read.
    const newestOfEach = `
      SELECT n.seq FROM registered_groups AS r JOIN messages AS n
        ON n.seq IN (SELECT seq FROM messages WHERE chat_jid = r.jid ORDER BY seq DESC LIMIT ${LOOKED_AT})
      WHERE r.folder = :folder ORDER BY n.seq DESC LIMIT ${LOOKED_AT}`
    this.#newest = db.prepare(`SELECT ${columns} FROM messages AS m WHERE m.seq IN (${newestOfEach}) ORDER BY m.seq DESC`)
  }

  /**
   * Messages with all words of the query in them, or its first eight, newest first. Any text is a query: nothing in it is an
   * operator. What more than `mostHits` newer messages of all groups have in them, too, is not found.
   */
  search({ folder, query, limit }: { folder: string; query: string; limit: number }): Said[] {
    const words = wordsOf(query)
    const [short, long] = [words.filter((word) => isShort(word)), words.filter((word) => !isShort(word))]
    if (words.length === 0) return []
    const rows =
      long.length > 0 ? this.#indexed.iterate({ folder, words: long.map(quoted).join(' ') }) : this.#newest.iterate({ folder })
    const found: Said[] = []
    for (const raw of rows) {
      const said = row.parse(raw)
      if (short.every((word) => said.text.toLowerCase().includes(word.toLowerCase()))) found.push(said)
      if (found.length >= limit) break
    }
    return found
  }
}

/** The words of a query that differ for the index, which knows neither case nor accents; a few are enough. */
export function wordsOf(query: string): string[] {
  const words = query.replaceAll('\0', '').split(/\s+/u).filter(Boolean)
  const different = new Map(words.map((word) => [folded(word), word]))
  return [...different.values()].slice(0, MOST_WORDS)
}

function folded(word: string): string {
  return word
    .normalize('NFD')
    .replaceAll(/[\u0300-\u036f]/gu, '')
    .toLowerCase()
}

function isShort(word: string): boolean {
  return [...word].length < SHORTEST_INDEXED
}

function quoted(word: string): string {
  return `"${word.replaceAll('"', '""')}"`
}
