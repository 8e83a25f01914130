import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { AppError } from '../../domain/errors.ts'

/** Somebody who can answer. Where there is no terminal there is none, and nothing is asked. */
export interface Person {
  /** Enter means yes, the end of the input no. */
  confirm(question: string): Promise<boolean>
  /** What is typed or pasted stays invisible; an empty answer is ''. */
  secret(question: string): Promise<string>
}

export type Terminal = { input: NodeJS.ReadStream; output: NodeJS.WriteStream }

/** The person at this terminal; undefined when either side is a pipe or a file. */
export function personAt(terminal: Terminal): Person | undefined {
  if (!terminal.input.isTTY || !terminal.output.isTTY) return undefined
  return {
    confirm: async (question) => isYes(await readLine({ ...terminal, question: `${question} [Y/n] `, hidden: false })),
    secret: async (question) => (await readLine({ ...terminal, question, hidden: true })) ?? '',
  }
}

function isYes(answer: string | undefined): boolean {
  return answer !== undefined && /^(y|yes|)$/i.test(answer.trim())
}

/** One line, undefined at the end of the input. Ctrl-C rejects with the code `setup.cancelled`. */
function readLine({
  input,
  output,
  question,
  hidden,
}: Terminal & { question: string; hidden: boolean }): Promise<string | undefined> {
  const echo = hidden ? new Writable({ write: (_chunk, _encoding, done) => done() }) : output
  const lines = createInterface({ input, output: echo, terminal: true })
  return new Promise((resolve, reject) => {
    if (hidden) output.write(question)
    lines.on('SIGINT', () => {
      reject(new AppError({ code: 'setup.cancelled', fault: 'user', message: 'Cancelled; what was done so far stays.' }))
      lines.close()
    })
    lines.on('close', () => {
      if (hidden) output.write('\n')
      resolve(undefined)
    })
    lines.question(hidden ? '' : question, (answer) => {
      resolve(answer)
      lines.close()
    })
  })
}
