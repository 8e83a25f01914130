import assert from 'node:assert/strict'
import { test } from 'node:test'
import { proto } from 'baileys'
import { type Content, contentOf, excerptOf } from './content.ts'

const { MESSAGE_EDIT, REVOKE, EPHEMERAL_SETTING } = proto.Message.ProtocolMessage.Type

/** What a message says, as it is once it has travelled. */
function read(message: proto.IMessage): Content {
  return contentOf(proto.Message.decode(proto.Message.encode(message).finish()))
}

function textIn(message: proto.IMessage): string | undefined {
  const content = read(message)
  return content.type === 'said' ? content.text : undefined
}

test('the text of a message is its words, its caption, or the answer that was chosen', () => {
  const cases: proto.IMessage[] = [
    { conversation: 'words' },
    { extendedTextMessage: { text: 'words' } },
    { imageMessage: { caption: 'words' } },
    { videoMessage: { caption: 'words' } },
    { documentMessage: { caption: 'words' } },
    { buttonsResponseMessage: { selectedDisplayText: 'words' } },
    { templateButtonReplyMessage: { selectedDisplayText: 'words' } },
    { listResponseMessage: { title: 'words' } },
  ]
  for (const message of cases) assert.equal(textIn(message), 'words', JSON.stringify(message))
})

test('places, contacts and polls are told in words', () => {
  const vcard = ['BEGIN:VCARD', 'item1.TEL;waid=491:+49 1', 'EMAIL:carl@example.org', 'END:VCARD'].join('\r\n')
  const cases: [proto.IMessage, string][] = [
    [{ locationMessage: { degreesLatitude: 1.5, degreesLongitude: 2 } }, '[Location: 1.5, 2]'],
    [
      { locationMessage: { degreesLatitude: 1.5, degreesLongitude: 2, name: 'Tower', address: 'Street 1' } },
      '[Location: 1.5, 2] Tower, Street 1',
    ],
    [
      { liveLocationMessage: { degreesLatitude: 1.5, degreesLongitude: 2, caption: 'on my way' } },
      '[Location: 1.5, 2] on my way',
    ],
    [{ contactMessage: { displayName: 'Carl', vcard } }, '[Contact: Carl] +49 1, carl@example.org'],
    [
      { contactsArrayMessage: { contacts: [{ displayName: 'Carl', vcard }, { displayName: 'Dora' }] } },
      '[Contact: Carl] +49 1, carl@example.org\n[Contact: Dora] ',
    ],
  ]
  for (const [message, text] of cases) assert.equal(textIn(message), text)
  const poll = { name: 'When?', options: [{ optionName: 'now' }, { optionName: 'later' }] }
  for (const kind of ['pollCreationMessage', 'pollCreationMessageV2', 'pollCreationMessageV3'])
    assert.equal(textIn({ [kind]: poll }), '[Poll] When?\n- now\n- later')
})

test('the file of a message is told by its kind, with name, size and length', () => {
  const cases: [proto.IMessage, object][] = [
    [{ imageMessage: { fileLength: 5 } }, { kind: 'image', name: undefined, bytes: 5, seconds: undefined }],
    [{ videoMessage: { seconds: 3 } }, { kind: 'video', name: undefined, bytes: 0, seconds: 3 }],
    [{ ptvMessage: { seconds: 3 } }, { kind: 'video', name: undefined, bytes: 0, seconds: 3 }],
    [{ audioMessage: { seconds: 4 } }, { kind: 'audio', name: undefined, bytes: 0, seconds: 4 }],
    [{ audioMessage: { ptt: true } }, { kind: 'voice', name: undefined, bytes: 0, seconds: undefined }],
    [{ documentMessage: { fileName: 'a.pdf', title: 'A' } }, { kind: 'document', name: 'a.pdf', bytes: 0, seconds: undefined }],
    [{ documentMessage: { title: 'A' } }, { kind: 'document', name: 'A', bytes: 0, seconds: undefined }],
    [{ stickerMessage: {} }, { kind: 'sticker', name: undefined, bytes: 0, seconds: undefined }],
  ]
  for (const [message, media] of cases) {
    const content = contentOf(message)
    assert.deepEqual(content.type === 'said' && [content.text, content.media], ['', media])
  }
  const travelled = read({ imageMessage: { fileLength: 5_000_000_000 } })
  assert.equal(travelled.type === 'said' && travelled.media?.bytes, 5_000_000_000)
})

test('edits, deletions and reactions are told from words, and messages that say nothing from all of them', () => {
  const key = { id: 'M' }
  const cases: [proto.IMessage | null, Content][] = [
    [
      { protocolMessage: { type: MESSAGE_EDIT, key, editedMessage: { conversation: 'new' } } },
      { type: 'edited', id: 'M', text: 'new' },
    ],
    [{ protocolMessage: { type: REVOKE, key } }, { type: 'deleted', id: 'M' }],
    [{ protocolMessage: { type: MESSAGE_EDIT, key } }, { type: 'nothing' }],
    [{ protocolMessage: { type: EPHEMERAL_SETTING, key, editedMessage: { conversation: 'new' } } }, { type: 'nothing' }],
    [{ protocolMessage: { type: REVOKE } }, { type: 'nothing' }],
    [{ reactionMessage: { key, text: '👍' } }, { type: 'reaction', to: key, emoji: '👍' }],
    [{ reactionMessage: { key, text: '' } }, { type: 'nothing' }],
    [{ senderKeyDistributionMessage: {} }, { type: 'nothing' }],
    [null, { type: 'nothing' }],
  ]
  for (const [message, content] of cases) assert.deepEqual(contentOf(message), content)
})

test('a message is quoted on one line, up to three hundred characters', () => {
  const quoted = (text: string) => excerptOf({ conversation: text })
  assert.equal(quoted(' a\n [b]  c '), 'a (b) c')
  assert.equal(quoted('x'.repeat(300)), 'x'.repeat(300))
  assert.equal(quoted('x'.repeat(301)), `${'x'.repeat(300)}...`)
  assert.equal(quoted(`${'x'.repeat(299)}😀y`).at(-4), '\uFFFD')
})

test('a message without words is quoted by its kind', () => {
  const cases: [proto.IMessage | undefined, string][] = [
    [{ imageMessage: {} }, 'a photo'],
    [{ videoMessage: {} }, 'a video'],
    [{ audioMessage: {} }, 'a sound'],
    [{ audioMessage: { ptt: true } }, 'a voice note'],
    [{ documentMessage: {} }, 'a file'],
    [{ stickerMessage: {} }, 'a sticker'],
    [{ conversation: ' ' }, 'a message'],
    [{ reactionMessage: { key: { id: 'M' }, text: '👍' } }, 'a message'],
    [undefined, 'a message'],
  ]
  for (const [message, words] of cases) assert.equal(excerptOf(message), words)
})
