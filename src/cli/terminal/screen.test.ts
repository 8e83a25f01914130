import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Live, Screen } from './screen.ts'

function live(rows: string[], row = rows.length - 1): Live {
  return { rows, cursor: { row, before: rows[row] ?? '' } }
}

function ups(written: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: cursor movements are what is looked for
  return [...written.matchAll(/\u001b\[(\d+)A/g)].map(([, count]) => count ?? '')
}

test('a frame that changes nothing writes nothing', () => {
  const screen = new Screen()
  assert.notEqual(screen.frame({ above: [], live: live(['> a']), columns: 80 }), '')
  assert.equal(screen.frame({ above: [], live: live(['> a']), columns: 80 }), '')
})

test('the next frame goes up from the cursor to the first live row and erases from there', () => {
  const screen = new Screen()
  screen.frame({ above: [], live: live(['one', 'two', 'three'], 1), columns: 80 })
  const written = screen.frame({ above: ['said'], live: live(['x']), columns: 80 })
  const order = ['\r\u001b[1A\u001b[J', 'said\r\n', 'x'].map((part) => written.indexOf(part))
  assert.deepEqual(
    order,
    order.filter((at) => at >= 0).sort((a, b) => a - b),
  )
})

test('rows that a narrower terminal has wrapped are erased too', () => {
  const screen = new Screen()
  screen.frame({ above: [], live: live(['x'.repeat(70), '> a']), columns: 80 })
  assert.deepEqual(ups(screen.frame({ above: [], live: live(['> a']), columns: 30 })), ['3'])
})

test('the cursor that a narrower terminal has pushed down is found', () => {
  const screen = new Screen()
  screen.frame({ above: [], live: live(['> '.padEnd(50, 'a')]), columns: 80 })
  assert.deepEqual(ups(screen.frame({ above: [], live: live(['> a']), columns: 20 })), ['2'])
})

test('rows that were cut at the edge count as one', () => {
  const screen = new Screen()
  screen.frame({ above: [], live: live(['x'.repeat(300), '> a']), columns: 80 })
  assert.deepEqual(ups(screen.frame({ above: [], live: live(['> b']), columns: 80 })), ['1'])
})

test('after clearing, nothing is erased again', () => {
  const screen = new Screen()
  screen.frame({ above: [], live: live(['one', 'two']), columns: 80 })
  assert.deepEqual(ups(screen.clear(80)), ['1'])
  assert.deepEqual(ups(screen.frame({ above: [], live: live(['x']), columns: 80 })), [])
})
