import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Editor, emptyEditor, press } from './editor.ts'
import { liveView } from './live-view.ts'
import type { Look } from './message-view.ts'
import { emptyRoom, type Room, type Work } from './room.ts'
import { noColours } from './style.ts'
import { paintedWidth } from './text.ts'

const look: Look = { columns: 40, rows: 20, style: noColours, now: 65_000 }
const online: Room = { ...emptyRoom, online: true }
const running: Work = { state: 'running', since: 0, doing: 'Bash: ls', text: '', stopping: false, answered: false }

function rows(
  room: Room,
  { editor = emptyEditor, hint = '', at = look }: { editor?: Editor; hint?: string; at?: Look } = {},
): string[] {
  return liveView({ room, editor, hint, look: at }).rows
}

function typed(text: string): Editor {
  return press(emptyEditor, { name: 'paste', text }).editor
}

test('a quiet chat shows only the input', () => {
  assert.deepEqual(rows(online), ['› Write a message'])
})

test('while the agent works, its time and its tool are shown above the input', () => {
  assert.deepEqual(rows({ ...online, work: running }), ['⠋ 1m 05s Bash: ls', '› Write a message'])
})

test('the answer so far is shown above that', () => {
  const work: Work = { ...running, doing: 'Writing', text: 'Hello **you**' }
  assert.deepEqual(rows({ ...online, work }), ['Hello you', '', '⠋ 1m 05s Writing', '› Write a message'])
})

test('a tool cannot break the line it is shown on', () => {
  const work: Work = { ...running, doing: `Bash: a\n\u001b[2Jb ${'x'.repeat(100)}` }
  const [row = ''] = rows({ ...online, work })
  assert.match(row, /^⠋ 1m 05s Bash: a b x+…$/)
  assert.ok(paintedWidth(row) <= look.columns)
})

test('a lost connection and what waits for it are shown', () => {
  const room: Room = { ...emptyRoom, outgoing: [{ text: 'hello', tried: false }] }
  assert.deepEqual(rows(room), ['! The connection to NanoClaw is lost; …', '› hello (not sent yet)', '› Write a message'])
})

test('a hint stands below the input', () => {
  assert.deepEqual(rows(online, { hint: 'Ctrl-D leaves' }), ['› Write a message', 'Ctrl-D leaves'])
})

test('the input is wrapped, and the cursor is where it is in the text', () => {
  const view = liveView({ room: online, editor: typed(`${'a'.repeat(37)}漢\nb`), hint: '', look })
  assert.deepEqual(view.rows, [`› ${'a'.repeat(37)}`, '  漢', '  b'])
  assert.deepEqual(view.cursor, { row: 2, before: '  b' })
})

test('of a high input, the rows around the cursor are shown', () => {
  let editor = emptyEditor
  for (let line = 0; line < 30; line++) {
    editor = press(editor, { name: 'text', text: `line ${line}` }).editor
    editor = press(editor, { name: 'newline' }).editor
  }
  const view = liveView({ room: online, editor, hint: '', look })
  assert.equal(view.rows.at(-2), '  line 29')
  assert.ok(view.rows.length < 15)
  for (let ups = 0; ups < 20; ups++) editor = press(editor, { name: 'up' }).editor
  const above = liveView({ room: online, editor, hint: '', look })
  assert.equal(above.rows[above.cursor.row], '  line 10')
})

test('whatever happens, the rows fit on the screen', () => {
  const work: Work = { ...running, text: 'line\n'.repeat(50) }
  const outgoing = Array.from({ length: 30 }, (_, i) => ({ text: `message ${i}\n`.repeat(9), tried: false }))
  for (let height = 1; height < 30; height++)
    for (const columns of [1, 5, 20, 80]) {
      const at = { ...look, rows: height, columns }
      const view = liveView({ room: { ...online, work, outgoing }, editor: typed('a\nb\nc'), hint: 'Ctrl-D leaves', look: at })
      assert.ok(view.rows.length <= Math.max(height - 1, 1), `${view.rows.length} rows on ${height}`)
      assert.ok(view.rows[view.cursor.row]?.startsWith(view.cursor.before))
    }
})
