import assert from 'node:assert/strict'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { until } from '../test/fakes/patience.ts'
import { hasEnded } from '../test/fakes/processes.ts'
import { type TestContext, temporaryFolder } from '../test/fakes/rooms.ts'
import { transcriber } from './transcription.ts'

const { signal } = new AbortController()

/** A program in the place of a real one, and a sound file with a name that a shell would stumble over. */
function scene(t: TestContext, script: string) {
  const folder = temporaryFolder(t)
  const program = path.join(folder, 'hear')
  writeFileSync(program, `#!/bin/sh\n${script}\n`)
  chmodSync(program, 0o755)
  const file = path.join(folder, 'a $(touch x).ogg')
  writeFileSync(file, 'OggS spoken')
  return { folder, program, file }
}

test('a command gets the file where it says, or as its last argument, past any shell', async (t) => {
  const { folder, program, file } = scene(t, 'echo "$@"')
  const words = (command: string) => transcriber({ by: 'command', command })({ file, signal })
  assert.equal(await words(`${program} --language de`), `--language de ${file}`)
  assert.equal(await words(`${program} --in {file} --quiet`), `--in ${file} --quiet`)
  assert.ok(!existsSync(path.join(folder, 'x')))
})

test('a command that fails, is not there, hears nothing or takes too long is told in words', async (t) => {
  const { program, file } = scene(t, 'case $1 in broken) echo "no model" >&2; exit 3;; slow) exec sleep 600;; esac')
  const why = (command: string, withinMs?: number) =>
    transcriber(
      { by: 'command', command },
      withinMs,
    )({ file, signal }).then(
      () => 'no failure',
      (error) => error.message,
    )
  assert.equal(await why(`${program} broken`), 'it ended with 3: no model')
  assert.match(await why('/nowhere/hear'), /ENOENT/)
  assert.equal(await why(program), 'there are no words in it')
  assert.equal(await why(`${program} slow`, 300), 'it took too long')
})

test('files are heard one after the other, and one that fails keeps no other from it', async (t) => {
  const { program, file } = scene(
    t,
    'mkdir "$0.lock" || exit 1; sleep 0.05; rmdir "$0.lock"; mkdir "$0.first" 2>/dev/null && exit 2; echo heard',
  )
  const hear = transcriber({ by: 'command', command: program })
  const all = await Promise.allSettled([hear({ file, signal }), hear({ file, signal }), hear({ file, signal })])
  assert.deepEqual(
    all.map((one) => (one.status === 'fulfilled' ? one.value : one.reason.message)),
    ['it ended with 2: ', 'heard', 'heard'],
  )
})

test("an abort of the caller's ends the work, and is not told as a failure of the command", async (t) => {
  const { folder, program, file } = scene(t, 'echo $$ > "$0.pid"; exec sleep 600')
  const stop = new AbortController()
  const work = transcriber({ by: 'command', command: program })({ file, signal: stop.signal })
  const pid = () => Number(readFileSync(path.join(folder, 'hear.pid'), 'utf8'))
  await until(() => existsSync(path.join(folder, 'hear.pid')) && pid() > 0, 'the program runs')
  stop.abort()
  await assert.rejects(work, { name: 'AbortError' })
  await until(() => hasEnded(pid()), 'the program has ended')
})

test('the words of a command are cut to 50,000 characters, and its complaint to the last 500', async (t) => {
  const { program, file } = scene(t, 'head -c "$1" /dev/zero | tr "\\0" x; echo " end"; exit "$2"')
  const said = await transcriber({ by: 'command', command: `${program} 49996 0` })({ file, signal })
  assert.deepEqual([said.length, said.slice(-5)], [50_000, 'x end'])
  const cut = await transcriber({ by: 'command', command: `${program} 50000 0` })({ file, signal })
  assert.equal(cut, 'x'.repeat(50_000))
  const complaint = scene(t, 'head -c 600 /dev/zero | tr "\\0" y >&2; printf end >&2; exit 1')
  const failed = transcriber({ by: 'command', command: complaint.program })({ file, signal })
  await assert.rejects(failed, { message: `it ended with 1: ${'y'.repeat(497)}end` })
})

test('invalid UTF-8 in the output of a command is replaced', async (t) => {
  const { program, file } = scene(t, 'printf "a\\355\\240\\200b"')
  const said = await transcriber({ by: 'command', command: program })({ file, signal })
  assert.ok(said.isWellFormed() && said.startsWith('a') && said.endsWith('b'), said)
})

test('an endpoint is asked as one of OpenAI would be', async (t) => {
  const { file } = scene(t, '')
  let asked: { authorization: string | undefined; form: FormData } | undefined
  const server = createServer(async (request, response) => {
    const headers = { 'content-type': request.headers['content-type'] ?? '' }
    const form = await new Response(request, { headers }).formData()
    asked = { authorization: request.headers.authorization, form }
    response.statusCode = form.get('model') === 'none' ? 404 : 200
    response.end(JSON.stringify({ text: ' what was said\n' }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/audio/transcriptions`
  const hear = (model: string, apiKey?: string) => transcriber({ by: 'endpoint', url, model, apiKey })({ file, signal })
  assert.equal(await hear('whisper-1', 'k'), 'what was said')
  const sent = asked?.form.get('file')
  assert.deepEqual([asked?.authorization, asked?.form.get('model')], ['Bearer k', 'whisper-1'])
  assert.ok(sent instanceof File)
  assert.deepEqual([sent.name, await sent.text()], [path.basename(file), 'OggS spoken'])
  await assert.rejects(hear('none'), /the endpoint answered 404/)
  await hear('whisper-1')
  assert.equal(asked?.authorization, undefined, 'without a key')
})

test('an endpoint that refuses a file before it has read it is told in words, and nothing else breaks', async (t) => {
  const { file } = scene(t, '')
  writeFileSync(file, Buffer.alloc(3_000_000))
  const server = createServer((request, response) => {
    response.writeHead(413).end()
    request.resume()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const hear = transcriber({ by: 'endpoint', url, model: 'm', apiKey: undefined })
  for (let n = 0; n < 5; n++) await assert.rejects(hear({ file, signal }), { message: 'the endpoint answered 413' })
  // An error that nobody could catch would come now, and end the process.
  for (let round = 0; round < 50; round++) await new Promise((resolve) => setImmediate(resolve))
})

test('an endpoint that redirects, answers without words or with nonsense, or takes too long, is told in words', async (t) => {
  const { file } = scene(t, '')
  const server = createServer((request, response) => {
    request.resume()
    if (request.url === '/elsewhere') response.writeHead(307, { location: '/' }).end()
    else if (request.url === '/slow') response.writeHead(200).flushHeaders()
    else response.end(request.url === '/nonsense' ? '<html>' : '{"words":"x"}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const why = (place: string, withinMs?: number) =>
    transcriber(
      { by: 'endpoint', url: base + place, model: 'm', apiKey: undefined },
      withinMs,
    )({ file, signal }).then(
      (words) => `heard ${words}`,
      (error) => `${error.code}: ${error.message}`,
    )
  assert.equal(await why('/'), "transcription: the endpoint's answer has no text")
  assert.match(await why('/nonsense'), /^transcription: .*JSON/)
  assert.match(await why('/elsewhere'), /^transcription: .*fetch failed/)
  assert.equal(await why('/slow', 300), 'transcription: it took too long')
})
