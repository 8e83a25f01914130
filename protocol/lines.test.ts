import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Line, lines } from './lines.ts'

function linesOf(pieces: readonly (string | Uint8Array)[], maxBytes: number): Promise<Line[]> {
  async function* source() {
    for (const piece of pieces) yield typeof piece === 'string' ? Buffer.from(piece) : piece
  }
  return Array.fromAsync(lines(source(), maxBytes))
}

const line = (text: string): Line => ({ type: 'line', text })

test('a line has at most as many bytes as it may, however it comes in pieces', async () => {
  for (const cut of [(text: string) => [text], (text: string) => [...text]]) {
    assert.deepEqual(await linesOf(cut('12345\n123456\nä34\n'), 5), [line('12345'), { type: 'too-long', bytes: 6 }, line('ä34')])
    assert.deepEqual(await linesOf(cut('12345'), 5), [line('12345')])
    assert.deepEqual(await linesOf(cut('123456'), 5), [{ type: 'too-long', bytes: 6 }])
  }
})

test('a last line without a newline comes when the stream ends, and nothing comes after a newline', async () => {
  assert.deepEqual(await linesOf(['a\nb'], 5), [line('a'), line('b')])
  assert.deepEqual(await linesOf(['a\n'], 5), [line('a')])
  assert.deepEqual(await linesOf(['\n\n'], 5), [line(''), line('')])
  assert.deepEqual(await linesOf([], 5), [])
  assert.deepEqual(await linesOf(['', ''], 5), [])
})

test('a character that is cut in two is whole again', async () => {
  const bytes = Buffer.from('🙂\n')
  assert.deepEqual(await linesOf([bytes.subarray(0, 2), bytes.subarray(2)], 10), [line('🙂')])
})

test('a line that is too long is not kept in memory', async () => {
  const piece = Buffer.alloc(1024 * 1024, 'x')
  const found = await linesOf([...Array<Uint8Array>(50).fill(piece), '\nnext\n'], 10)
  assert.deepEqual(found, [{ type: 'too-long', bytes: 50 * piece.length }, line('next')])
})
