import { spawn } from 'node:child_process'
import { openAsBlob } from 'node:fs'
import path from 'node:path'
import { z } from 'zod'
import type { TranscriptionSettings } from './config.ts'
import { AppError, errorText } from './domain/errors.ts'

type Work = { file: string; signal: AbortSignal }
/** The words in a sound file; rejects with an `AppError` that says in words for a person why there are none. */
export type Transcribe = (work: Work) => Promise<string>

const WITHIN_MS = 300_000
/** Nobody says more than this in a voice note. */
const LONGEST_TEXT = 50_000

/** One file at a time: such programs take all the machine has. */
export function transcriber(settings: TranscriptionSettings, withinMs = WITHIN_MS): Transcribe {
  const ask = (work: Work) => (settings.by === 'command' ? byCommand(settings, work) : byEndpoint(settings, work))
  let last: Promise<unknown> = Promise.resolve()
  return ({ file, signal }) => {
    const words = last.then(() => ask({ file, signal: AbortSignal.any([signal, AbortSignal.timeout(withinMs)]) }))
    last = words.catch(() => {})
    return words.then(plainWords, (error) => Promise.reject(explained(error, signal)))
  }
}

/** The command's words, with the file in place of `{file}` or at the end. There is no shell: a name can be anything. */
function byCommand({ command }: { command: string }, { file, signal }: Work): Promise<string> {
  const words = command.trim().split(/\s+/)
  const [program = '', ...args] = words.includes('{file}')
    ? words.map((word) => (word === '{file}' ? file : word))
    : [...words, file]
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], signal, killSignal: 'SIGKILL' })
  return new Promise((resolve, reject) => {
    let [said, complaint] = ['', '']
    child.stdout.setEncoding('utf8').on('data', (text) => (said = (said + text).slice(0, LONGEST_TEXT)))
    child.stderr.setEncoding('utf8').on('data', (text) => (complaint = (complaint + text).slice(-500)))
    child.on('error', reject)
    child.on('close', (code) => (code === 0 ? resolve(said) : reject(new Error(`it ended with ${code}: ${complaint.trim()}`))))
  })
}

const answer = z.object({ text: z.string() })

/** POST multipart/form-data with `model` and `file`, as `/v1/audio/transcriptions` takes it. */
async function byEndpoint(
  { url, model, apiKey }: TranscriptionSettings & { by: 'endpoint' },
  { file, signal }: Work,
): Promise<string> {
  const form = new FormData()
  form.set('model', model)
  form.set('file', await openAsBlob(file), path.basename(file))
  // fetch would stream a form, and an answer that comes before the end of the stream makes it throw where nobody can catch it.
  const whole = new Response(form)
  const headers = new Headers({ 'content-type': whole.headers.get('content-type') ?? 'multipart/form-data' })
  if (apiKey !== undefined) headers.set('authorization', `Bearer ${apiKey}`)
  const body = await whole.arrayBuffer()
  const response = await fetch(url, { method: 'POST', body, headers, signal, redirect: 'error' })
  if (!response.ok) throw new Error(`the endpoint answered ${response.status}`)
  const { data } = answer.safeParse(await response.json())
  if (!data) throw new Error("the endpoint's answer has no text")
  return data.text
}

function plainWords(text: string): string {
  const words = text.trim().slice(0, LONGEST_TEXT).toWellFormed()
  if (words === '') throw failure('there are no words in it')
  return words
}

/** An abort of the caller's is theirs, and passed on as it is. */
function explained(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted || error instanceof AppError) return error
  const tookTooLong = error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError')
  return failure(tookTooLong ? 'it took too long' : errorText(error), error)
}

function failure(message: string, cause?: unknown): AppError {
  return new AppError({ code: 'transcription', fault: 'platform', message, cause })
}
