import path from 'node:path'
import { isFolderOver } from '../app/folder-limits.ts'
import { Courier } from '../app/outbox.ts'
import type { OutgoingFiles } from '../app/outgoing-files.ts'
import type { Channel, ChannelState } from '../channels/contract.ts'
import { WhatsAppChannel } from '../channels/whatsapp/channel.ts'
import type { ChannelLog } from '../channels/whatsapp/ports.ts'
import { systemClock } from '../domain/clock.ts'
import type { Speaker } from '../domain/senders.ts'
import { transcriber } from '../transcription.ts'
import type { Base } from './base.ts'

type WhatsAppWiring = Pick<Base, 'config' | 'store' | 'senders'> & { log: ChannelLog; onState?: (state: ChannelState) => void }

export function makeWhatsApp({ config, store, senders, log, onState }: WhatsAppWiring): WhatsAppChannel {
  const { root, assistantName, hasOwnNumber, whatsapp, transcription } = config
  const authFolder = path.join(root, 'store', 'auth')
  const attachmentsFolder = path.join(root, 'data', 'attachments')
  const registration = (jid: string) => {
    const chat = store.groups.chat(jid)
    return chat && { folder: chat.folder, trigger: chat.trigger ?? `@${assistantName}` }
  }
  const settings = { authFolder, attachmentsFolder, assistantName, hasOwnNumber, ...whatsapp }
  const transcribe = transcription && transcriber(transcription)
  const ports = {
    clock: systemClock,
    random: Math.random,
    log,
    registration,
    refuseFile: (said: Speaker) => fileRefusal({ store, senders }, said),
    transcribe,
  }
  return new WhatsAppChannel({ settings, ports, onState })
}

/** What the host does not keep, no channel fetches: files of people who are dropped, and of groups with too much already. */
export function fileRefusal({ store, senders }: Pick<Base, 'store' | 'senders'>, said: Speaker): string | undefined {
  const group = store.groups.find(store.groups.chat(said.jid)?.folder ?? '')
  if (group && senders.judge(said, group).type === 'dropped') return 'its sender is not heard here'
  return group && isFolderOver(store, group.folder) ? "the group's folder is full" : undefined
}

/** What only a person can put right about a channel, in words; undefined for what passes by itself. */
export function callsForPerson({ name }: Channel, state: ChannelState): string | undefined {
  if (state.state !== 'logged-out' && state.state !== 'conflict') return undefined
  return `The channel ${name} stopped: ${state.why}`
}

type CourierParts = { base: Base; channelOf(jid: string): Channel | undefined; files: OutgoingFiles }

export function makeCourier({ base: { store, log }, channelOf, files }: CourierParts): Courier {
  const forget = files.remove.bind(files)
  return new Courier({ store, channelOf, log, forget, clock: systemClock, random: Math.random })
}
