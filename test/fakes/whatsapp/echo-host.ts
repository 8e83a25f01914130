import path from 'node:path'
import { Feed } from '../../../src/app/feed.ts'
import { Inbox } from '../../../src/app/inbox.ts'
import { Courier } from '../../../src/app/outbox.ts'
import { WhatsAppChannel } from '../../../src/channels/whatsapp/channel.ts'
import { systemClock } from '../../../src/domain/clock.ts'
import { Store } from '../../../src/store/store.ts'
import { registerChat } from '../rooms.ts'
import { everybody } from '../senders.ts'

/**
 * A host without agents, in a process of its own, to be killed: it answers every message with an echo of it, through the real
 * store and courier. Usage: node echo-host.ts FOLDER SOCKET_URL JID. Tells what happens as JSON lines on stdout.
 */
const [folder = '', socketUrl = '', jid = ''] = process.argv.slice(2)
const tell = (event: object) => process.stdout.write(`${JSON.stringify(event)}\n`)

const store = Store.open(path.join(folder, 'store', 'messages.db'))
if (!store.groups.find('main')) {
  store.groups.add({ folder: 'main', name: 'main', isMain: true, config: {} }, 0)
  registerChat(store, { jid, folder: 'main' })
}
const log = {
  debug() {},
  info() {},
  warn: (text: string) => tell({ type: 'log', text }),
  error: (text: string) => tell({ type: 'log', text }),
}
const channel = new WhatsAppChannel({
  settings: {
    authFolder: path.join(folder, 'store', 'auth'),
    attachmentsFolder: path.join(folder, 'data', 'attachments'),
    assistantName: 'Andy',
    hasOwnNumber: true,
    socketUrl,
  },
  ports: {
    clock: systemClock,
    random: () => 0,
    log,
    registration: () => ({ folder: 'main', trigger: '@Andy' }),
    refuseFile: () => undefined,
  },
  onState: (state) => tell({ type: 'state', ...state }),
})
const courier = new Courier({ store, forget: () => {}, channelOf: () => channel, log, clock: systemClock, random: () => 0 })

/** Takes a message and commits its answer in one transaction, as a turn does. */
function answer(): void {
  store.tx(() => {
    for (const { seq, text } of store.messages.unanswered(jid, store.chats.cursors(jid).answeredSeq)) {
      store.outbox.add({ jid, text: `echo ${text}`, key: `answer-${seq}`, turnId: null, at: systemClock.now() })
      store.chats.markAnswered(jid, seq)
    }
  })
  courier.deliver()
}

const inbox = new Inbox({
  store,
  feed: new Feed(console),
  wake: answer,
  deliver: () => courier.deliver(),
  takeCommand: () => undefined,
  judge: everybody,
  onDropped() {},
})
await channel.start(inbox, new AbortController().signal)
courier.recover()
answer()
if (channel.state.state === 'needs-pairing') await channel.login({ tell, signal: new AbortController().signal })
setInterval(() => {}, 60_000)
