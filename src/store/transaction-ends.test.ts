import assert from 'node:assert/strict'
import path from 'node:path'
import { test } from 'node:test'
import SQLite from 'better-sqlite3'
import { type TestContext, temporaryFolder } from '../../test/fakes/rooms.ts'
import { Store } from './store.ts'

function open(t: TestContext) {
  const failures: string[] = []
  const notes: string[] = []
  const file = path.join(temporaryFolder(t), 'messages.db')
  const store = Store.open(
    file,
    (text) => void notes.push(text),
    (text) => void failures.push(text),
  )
  t.after(() => store.close())
  const steps: string[] = []
  const after = (name: string) => store.afterCommit(name, () => void steps.push(`${name}, fact is ${store.facts.get('fact')}`))
  const undo = (name: string) => store.onRollback(name, () => void steps.push(`undo ${name}`))
  return { store, file, failures, notes, steps, after, undo }
}

const broken = () => {
  throw new Error('broken')
}

test('steps run when the outermost transaction has committed, in their order, and nothing is undone', (t) => {
  const { store, file, steps, after, undo } = open(t)
  const other = new SQLite(file, { readonly: true })
  const seen: unknown[] = []
  store.tx(() => {
    after('first')
    undo('first')
    store.tx(() => {
      after('second')
      undo('second')
      store.afterCommit('third', () =>
        seen.push(other.prepare("SELECT value FROM router_state WHERE key = 'fact'").pluck().get()),
      )
    })
    store.facts.set('fact', 'stored')
    assert.deepEqual(steps, [])
  })
  other.close()
  assert.deepEqual(steps, ['first, fact is stored', 'second, fact is stored'])
  assert.deepEqual(seen, ['stored'], 'another connection sees the commit')
})

test('a rollback runs no step, and undoes the newest change first', (t) => {
  const { store, steps, after, undo } = open(t)
  const change = () => {
    after('step')
    undo('a')
    undo('b')
    store.facts.set('fact', 'lost')
    return broken()
  }
  assert.throws(() => store.tx(change), /broken/)
  assert.deepEqual([steps, store.facts.get('fact')], [['undo b', 'undo a'], undefined])
})

test('a nested transaction that rolls back undoes its own changes, and one around it undoes all', (t) => {
  const { store, steps, after, undo } = open(t)
  store.tx(() => {
    after('outer')
    undo('outer')
    assert.throws(() =>
      store.tx(() => {
        after('inner')
        undo('inner')
        return broken()
      }),
    )
  })
  assert.deepEqual(steps.splice(0), ['undo inner', 'outer, fact is undefined'])
  const outer = () => {
    undo('outer')
    store.tx(() => undo('inner'))
    return broken()
  }
  assert.throws(() => store.tx(outer), /broken/)
  assert.deepEqual(steps, ['undo inner', 'undo outer'])
})

test('a step that fails is reported with its name, stops no other, and does not reach the caller', (t) => {
  const { store, failures, notes, steps, after } = open(t)
  const result = store.tx(() => {
    store.afterCommit('The first step', broken)
    after('second')
    return 'stored'
  })
  store.afterCommit('A step without a transaction', broken)
  assert.deepEqual([result, steps, notes], ['stored', ['second, fact is undefined'], []])
  assert.deepEqual(failures, [
    'The first step failed. What was stored before it stays stored: broken',
    'A step without a transaction failed. What was stored before it stays stored: broken',
  ])
})

test('a log that fails as well does not reach the caller either', (t) => {
  const store = Store.open(path.join(temporaryFolder(t), 'messages.db'), () => {}, broken)
  t.after(() => store.close())
  store.tx(() => store.afterCommit('A step', broken))
})

test('steps that begin a transaction have ends of their own', (t) => {
  const { store, steps, after, undo } = open(t)
  store.tx(() =>
    store.afterCommit('outer', () => {
      assert.throws(() =>
        store.tx(() => {
          undo('later')
          after('never')
          return broken()
        }),
      )
      store.tx(() => after('later'))
    }),
  )
  assert.deepEqual(steps, ['undo later', 'later, fact is undefined'])
})

test('a transaction that begins again after the text index was repaired has the steps of its second try only', (t) => {
  const { store, steps, after, undo, notes } = open(t)
  let tries = 0
  store.tx(() => {
    tries++
    after(`try ${tries}`)
    undo(`try ${tries}`)
    if (tries === 1) throw new SQLite.SqliteError('the text index is damaged', 'SQLITE_CORRUPT_VTAB')
  })
  assert.deepEqual([tries, steps, notes.length], [2, ['undo try 1', 'try 2, fact is undefined'], 1])
})
