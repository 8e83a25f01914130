import assert from 'node:assert/strict'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { Demultiplexer, FrameSplitter } from './demultiplexer.ts'

const STDOUT = 1
const STDERR = 2

function frame(stream: number, payload: string | Buffer): Buffer {
  const header = Buffer.alloc(8)
  header.writeUInt8(stream, 0)
  header.writeUInt32BE(Buffer.byteLength(payload), 4)
  return Buffer.concat([header, Buffer.from(payload)])
}

test('frames come out whole wherever the connection cuts them', () => {
  const bytes = Buffer.concat([frame(STDOUT, 'first '), frame(STDERR, 'trouble'), frame(STDOUT, ''), frame(STDOUT, 'second')])
  for (let size = 1; size <= bytes.length; size++) {
    const splitter = new FrameSplitter()
    const out = { stdout: '', stderr: '' }
    for (let at = 0; at < bytes.length; at += size) {
      const { stdout, stderr } = splitter.split(bytes.subarray(at, at + size))
      out.stdout += stdout
      out.stderr += stderr
    }
    assert.deepEqual(out, { stdout: 'first second', stderr: 'trouble' }, `in pieces of ${size}`)
  }
})

test('a frame that claims 4 GiB costs no more than what came of it', () => {
  const header = Buffer.from([STDOUT, 0, 0, 0, 0xff, 0xff, 0xff, 0xff])
  const splitter = new FrameSplitter()
  assert.equal(splitter.split(header).stdout.length, 0)
  assert.equal(splitter.split(Buffer.alloc(100)).stdout.length, 100)
})

test('many tiny frames come out as one buffer', () => {
  const { stdout } = new FrameSplitter().split(Buffer.concat(Array.from({ length: 1_000 }, () => frame(STDOUT, 'x'))))
  assert.equal(stdout.toString(), 'x'.repeat(1_000))
})

test('what the engine itself reports comes out of stderr', () => {
  assert.equal(new FrameSplitter().split(frame(3, 'engine trouble')).stderr.toString(), 'engine trouble')
})

test('bytes that are no frames fail both streams', async () => {
  const output = new Demultiplexer()
  output.on('error', () => {})
  output.write('HTTP/1.1 400')
  await assert.rejects(text(output.stdout), /garbled/)
  await assert.rejects(text(output.stderr), /garbled/)
})

test('both streams end with the connection, after all that was sent', async () => {
  const output = new Demultiplexer()
  output.write(frame(STDOUT, 'out'))
  output.end(frame(STDERR, 'err'))
  assert.deepEqual(await Promise.all([text(output.stdout), text(output.stderr)]), ['out', 'err'])
})

test('a stream that nobody reads makes the engine wait, with little held', async () => {
  const output = new Demultiplexer()
  const chunk = frame(STDOUT, Buffer.alloc(64 * 1024))
  let accepted = 0
  while (output.write(chunk)) accepted++
  await new Promise(setImmediate)
  assert.ok(accepted <= 2, `${accepted} chunks were accepted`)
  assert.ok(output.stdout.readableLength <= 128 * 1024)
  assert.equal(output.writableNeedDrain, true)
  output.stdout.resume()
  await once(output, 'drain')
})

test('a stream that its reader left holds up nothing', async () => {
  const output = new Demultiplexer()
  const flood = frame(STDOUT, Buffer.alloc(1024 * 1024))
  output.write(flood)
  output.write(flood)
  output.end(frame(STDERR, 'still heard'))
  output.stdout.destroy()
  assert.equal(await text(output.stderr), 'still heard')
})

test('in a hurry the engine need not wait, and a slow reader gets the beginning', async () => {
  const output = new Demultiplexer()
  output.write(frame(STDOUT, 'beginning '.repeat(20_000)))
  output.write(frame(STDOUT, 'middle'))
  output.write(frame(STDERR, 'heard'))
  output.hurry()
  await new Promise<void>((resolve) => output.end(frame(STDOUT, 'end'), resolve))
  assert.equal(await text(output.stdout), 'beginning '.repeat(20_000))
  assert.equal(await text(output.stderr), 'heard')
})

test('in a hurry a reader that keeps up gets everything', async () => {
  const output = new Demultiplexer()
  output.hurry()
  const read = text(output.stdout)
  output.write(frame(STDOUT, 'first '))
  output.end(frame(STDOUT, 'last'))
  assert.equal(await read, 'first last')
})
