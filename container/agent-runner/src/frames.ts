import { MAX_FRAME_BYTES, type RunnerFrame } from '@nanoclaw/protocol'

export type Emit = (frame: RunnerFrame) => void

const CUT_NOTE = '\n\n[The rest was cut: the answer was longer than one message can be.]'

/**
 * Writes frames as lines that never exceed the protocol's limit.
 * A manual run shows results alone, so that what a person pipes on is one JSON line.
 */
export function emitter({ write, onlyResults }: { write: (line: string) => void; onlyResults: boolean }): Emit {
  return (frame) => {
    if (onlyResults && frame.type !== 'result') return
    write(`${encode(frame)}\n`)
  }
}

const LOGIN_ADVICE =
  'Invalid API key or none: put ANTHROPIC_API_KEY=sk-ant-api03-... or CLAUDE_CODE_OAUTH_TOKEN=sk-ant-oat01-... into .env, and for a run by hand into data/env/env.'

/** Behind a gateway the host says what is missing; without one there is nobody else to say it. */
export function withLoginAdvice(emit: Emit): Emit {
  return (frame) => {
    const isLogin = frame.type === 'result' && frame.errorClass === 'login'
    emit(isLogin ? { ...frame, error: `${frame.error}. ${LOGIN_ADVICE}` } : frame)
  }
}

function encode(frame: RunnerFrame): string {
  const line = JSON.stringify(frame)
  if (Buffer.byteLength(line) < MAX_FRAME_BYTES) return line
  if (frame.type !== 'result' || frame.result === null) throw new Error(`a ${frame.type} frame exceeds ${MAX_FRAME_BYTES} bytes`)
  const half = frame.result.slice(0, Math.floor(frame.result.length / 2)).replace(CUT_NOTE, '')
  return encode({ ...frame, result: half + CUT_NOTE })
}
