import { errorText } from '../../domain/errors.ts'
import { plain } from './content.ts'
import type { WhatsAppPorts } from './ports.ts'

type Heard = { type: 'words'; words: string } | { type: 'nothing'; why: string }
type Hearing = { file: string; signal: AbortSignal; transcribe: WhatsAppPorts['transcribe'] }

/** What is said in a voice note, or why nobody knows: a message arrives without its words, too. Rejects only when `signal` aborts. */
export async function hear({ file, signal, transcribe }: Hearing): Promise<Heard> {
  if (!transcribe) return { type: 'nothing', why: 'neither TRANSCRIBE_COMMAND nor TRANSCRIBE_URL is set' }
  try {
    return { type: 'words', words: await transcribe({ file, signal }) }
  } catch (error) {
    signal.throwIfAborted()
    return { type: 'nothing', why: plain(errorText(error)) }
  }
}
