/** A line of a byte stream, or the news that one was too long and was dropped up to its newline. */
export type Line = { type: 'line'; text: string } | { type: 'too-long'; bytes: number }

/**
 * Splits bytes into lines without ever holding more than `maxBytes` of one line.
 * A last line without a newline is yielded when the stream ends.
 */
export async function* lines(source: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Line> {
  let held: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of source) {
    let start = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      yield take(chunk.subarray(start, end))
      start = end + 1
    }
    hold(chunk.subarray(start))
  }
  if (bytes > 0) yield take(new Uint8Array())

  function hold(piece: Uint8Array): void {
    bytes += piece.length
    if (bytes <= maxBytes) held.push(piece)
    else held = []
  }

  function take(last: Uint8Array): Line {
    hold(last)
    const line: Line =
      bytes > maxBytes ? { type: 'too-long', bytes } : { type: 'line', text: Buffer.concat(held).toString('utf8') }
    held = []
    bytes = 0
    return line
  }
}
