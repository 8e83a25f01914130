import type { Clock } from '../../domain/clock.ts'

export type ChannelLog = Record<'debug' | 'info' | 'warn' | 'error', (text: string) => void>

/** What the channel needs from the host. */
export type WhatsAppPorts = {
  clock: Clock
  /** Between 0 and 1. */
  random(): number
  log: ChannelLog
  /** The registration of a chat: its group's folder and the words that call the assistant. Undefined for unregistered ones. */
  registration(jid: string): { folder: string; trigger: string } | undefined
  /** Why a file that this person sent to this registered chat is not kept; undefined when it is. */
  refuseFile: (said: { jid: string; sender: string; fromMe: boolean }) => string | undefined
  /** The words in a sound file; rejects with the reason why there are none. Undefined where nobody set one up. */
  transcribe?: ((work: { file: string; signal: AbortSignal }) => Promise<string>) | undefined
}

export type WhatsAppSettings = {
  /** Where `whatsapp.db` is, and a v1 state may be. */
  authFolder: string
  /** `data/attachments`: a folder for each group, mounted into its containers. */
  attachmentsFolder: string
  assistantName: string
  /** The account is the assistant's alone; else it is a person's, and the assistant's messages are marked by its name. */
  hasOwnNumber: boolean
  /** Where WhatsApp is, if elsewhere. */
  socketUrl?: string | undefined
  /** The version of WhatsApp Web to claim, such as 2.3000.1043857760. */
  version?: string | undefined
}
