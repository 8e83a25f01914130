import assert from 'node:assert/strict'
import { test } from 'node:test'
import { proto } from 'baileys'
import { triggerOf } from '../../src/domain/routing.ts'
import { ManualClock } from '../fakes/clock.ts'
import { until } from '../fakes/patience.ts'
import { node, seconds } from '../fakes/whatsapp/nodes.ts'
import { FAMILY, shownTexts, World } from '../fakes/whatsapp/world.ts'

const called = triggerOf('@Andy')

for (const lidAddressing of [false, true]) {
  const by = lidAddressing ? 'LIDs' : 'phone numbers'

  test(`people are called by their phone number in chats and groups, when WhatsApp uses ${by}, also after a restart`, async (t) => {
    const world = await World.linked(t, { lidAddressing })
    const { server, alice, bob, olga } = world
    await server.write(alice, olga, 'one')
    await server.writeToGroup(bob, FAMILY, 'two')
    const [one, two] = [await world.heard('one'), await world.heard('two')]
    assert.deepEqual([one.jid, one.sender, one.fromMe], [alice.pn, alice.pn, false])
    assert.deepEqual([two.jid, two.sender, two.senderName], [FAMILY, bob.pn, 'Bob'])
    await world.restart()
    await world.online()
    await server.write(alice, olga, 'three')
    assert.equal((await world.heard('three')).jid, alice.pn)
    await world.send(alice.pn, 'to a person')
    await world.send(FAMILY, 'to the group')
    assert.deepEqual(shownTexts(alice), ['to a person', 'to the group'])
    assert.deepEqual(shownTexts(bob), ['to the group'])
  })

  test(`a mention of the account calls the assistant, when WhatsApp uses ${by}`, async (t) => {
    const world = await World.linked(t, { lidAddressing })
    const { olga } = world
    const me = lidAddressing ? olga.lid : olga.pn
    const user = me.split('@')[0]
    const mention = { text: `what do you say, @${user}?`, contextInfo: { mentionedJid: [me] } }
    await world.server.writeToGroup(world.bob, FAMILY, { extendedTextMessage: mention })
    const { text } = await world.heard('what do you say')
    assert.equal(text, '@Andy what do you say, @Andy?')
    const first = { text: `@${user} and you?`, contextInfo: { mentionedJid: [me] } }
    await world.server.writeToGroup(world.bob, FAMILY, { extendedTextMessage: first })
    assert.equal((await world.heard('and you?')).text, '@Andy and you?')
    const marked = { ...first, text: `\u2068@${user}\u2069 between marks` }
    await world.server.writeToGroup(world.bob, FAMILY, { extendedTextMessage: marked })
    assert.equal((await world.heard('between marks')).text, '\u2068@Andy\u2069 between marks')
    await world.server.write(world.bob, olga, { extendedTextMessage: { ...first, text: 'in no chat of ours' } })
    assert.equal((await world.heard('in no chat')).text, '@Andy in no chat of ours')
    await world.server.writeToGroup(world.bob, FAMILY, 'just among us')
    assert.ok(!called((await world.heard('among us')).text))
  })
}

test('a chat that was registered by its LID stays found when the phone number becomes known', async (t) => {
  const world = await World.create(t, { lidAddressing: true })
  world.server.hidesPhones = true
  await world.start()
  await world.link()
  const { alice, olga, server } = world
  for (const jid of Object.keys(world.registered)) delete world.registered[jid]
  await server.write(alice, olga, 'from a LID')
  assert.equal((await world.heard('from a LID')).jid, alice.lid)
  world.registered[alice.lid] = { folder: 'main', trigger: '@Andy' }
  await world.send(alice.lid, 'answer')
  assert.deepEqual(shownTexts(alice), ['answer'])
  server.hidesPhones = false
  for (const text of ['now with the number', 'after a restart']) {
    await server.write(alice, olga, text)
    assert.equal((await world.heard(text)).jid, alice.lid)
    await world.restart()
    await world.online()
  }
})

test('a direct chat has the name of its person, and a person without a name is shown by number', async (t) => {
  const world = await World.linked(t, { settings: { hasOwnNumber: false } })
  const { server, alice, olga, notebook } = world
  const hear = async (text: string) => {
    await server.write(alice, olga, text)
    const { senderName } = await world.heard(text)
    return [senderName, notebook.names.get(alice.pn)]
  }
  assert.deepEqual(await hear('first'), ['Alice', 'Alice'])
  await server.writeFromPhone(olga, 'from the owner', alice)
  assert.equal((await world.heard('from the owner')).senderName, 'Olga')
  assert.equal(notebook.names.get(alice.pn), 'Alice')
  alice.name = 'Alicia'
  assert.deepEqual(await hear('second'), ['Alicia', 'Alicia'])
  alice.name = ''
  assert.deepEqual(await hear('third'), ['+15550002222', 'Alicia'])
})

test('what came while the assistant was away is answered; what was said before the link is not', async (t) => {
  const world = await World.linkedAnew(t)
  const history = () => world.server.heard.filter(({ attrs }) => attrs.type === 'hist_sync')
  await until(() => history().length === 2, 'what was said before the link is there')
  await world.stop()
  for (const text of ['first', 'second', 'third']) await world.server.write(world.alice, world.olga, text)
  await world.restart()
  await world.heard('third')
  assert.deepEqual(world.notebook.texts, ['first', 'second', 'third'])
  await until(() => world.server.unconfirmed(world.olga).length === 0, 'all are confirmed')
})

test('wrapped messages are read: disappearing, view once, with captions', async (t) => {
  const world = await World.linked(t)
  const wrapped: [proto.IMessage, string][] = [
    [{ ephemeralMessage: { message: { conversation: 'gone tomorrow' } } }, 'gone tomorrow'],
    [{ viewOnceMessageV2: { message: { extendedTextMessage: { text: 'look once' } } } }, 'look once'],
    [{ locationMessage: { degreesLatitude: 52.5, degreesLongitude: 13.4, name: 'Tower' } }, '[Location: 52.5, 13.4] Tower'],
    [
      { contactMessage: { displayName: 'Carl [x]', vcard: 'BEGIN:VCARD\nTEL;waid=491:+49 1\nEND:VCARD' } },
      '[Contact: Carl (x)] +49 1',
    ],
    [{ pollCreationMessageV3: { name: 'When?', options: [{ optionName: 'now' }, { optionName: 'later' }] } }, '- later'],
  ]
  for (const [message, text] of wrapped) {
    await world.server.write(world.alice, world.olga, message)
    await world.heard(text)
  }
})

test('a quote is shown before what was said to it', async (t) => {
  const world = await World.linked(t)
  const { platformId } = await world.send(FAMILY, 'shall we [meet]?')
  const quotedMessage = { conversation: 'shall we [meet]?' }
  const contextInfo = { stanzaId: platformId ?? '', participant: world.olga.pn, quotedMessage }
  await world.server.writeToGroup(world.alice, FAMILY, { extendedTextMessage: { text: '@Andy yes', contextInfo } })
  const { text } = await world.heard('yes')
  assert.equal(text, '[In reply to Andy: "shall we (meet)?"] @Andy yes')
  assert.ok(called(text))
})

for (const hasOwnNumber of [true, false])
  test(`a quote names who is quoted, on ${hasOwnNumber ? "the assistant's own" : 'a shared'} number`, async (t) => {
    const world = await World.linked(t, { settings: { hasOwnNumber } })
    const { server, alice, bob, olga } = world
    const { platformId } = await world.send(FAMILY, 'of the assistant')
    // By this the device learns what the account calls itself.
    await server.writeFromPhone(olga, 'typed')
    const quote = async (participant: string, stanzaId: string) => {
      const contextInfo = { stanzaId, participant, quotedMessage: { conversation: 'words' } }
      const id = await server.writeToGroup(alice, FAMILY, { extendedTextMessage: { text: 'yes', contextInfo } })
      await until(() => world.notebook.messages.some((message) => message.id === id), 'it arrived')
      return world.notebook.messages.at(-1)?.text.split(':')[0]
    }
    assert.equal(await quote(olga.pn, platformId ?? ''), '[In reply to Andy')
    assert.equal(await quote(bob.pn, 'OTHER'), '[In reply to +15550003333')
    assert.equal(await quote(bob.lid, 'OTHER'), '[In reply to +15550003333')
    for (const me of [olga.pn, olga.lid])
      assert.equal(await quote(me, 'TYPED'), hasOwnNumber ? '[In reply to Andy' : '[In reply to Olga')
  })

test('a reaction to what the assistant said is told; one to what others said is not', async (t) => {
  const world = await World.linked(t)
  const { platformId } = await world.send(world.alice.pn, 'is 5 fine?')
  const react = (id: string) => ({ reactionMessage: { key: { id, fromMe: false }, text: '👍' } })
  await world.server.write(world.alice, world.olga, react('OTHER'))
  await world.server.write(world.alice, world.olga, react(platformId ?? ''))
  assert.equal((await world.heard('Reaction')).text, '[Reaction to "is 5 fine?"] 👍')
  assert.equal(world.notebook.messages.length, 1)
})

test('edits and deletions are told with who made them', async (t) => {
  const world = await World.linked(t)
  const id = await world.server.write(world.alice, world.olga, 'draft')
  await world.heard('draft')
  const { MESSAGE_EDIT, REVOKE } = proto.Message.ProtocolMessage.Type
  const edit = { protocolMessage: { type: MESSAGE_EDIT, key: { id }, editedMessage: { conversation: 'final' } } }
  await world.server.write(world.alice, world.olga, edit)
  await world.server.write(world.alice, world.olga, { protocolMessage: { type: REVOKE, key: { id } } })
  await until(() => world.notebook.deletions.length === 1, 'the deletion arrived')
  const { jid, sender } = { jid: world.alice.pn, sender: world.alice.pn }
  assert.deepEqual(world.notebook.edits, [{ jid, id, sender, text: 'final' }])
  assert.deepEqual(world.notebook.deletions, [{ jid, id, sender, asAdmin: false }])
})

for (const lidAddressing of [false, true])
  test(`a group's admin is told from others who take messages back, when WhatsApp uses ${lidAddressing ? 'LIDs' : 'phone numbers'}`, async (t) => {
    const world = await World.linked(t, { lidAddressing })
    const { alice, bob, server, notebook } = world
    await until(() => notebook.names.get(FAMILY) === 'Family', 'the group is known')
    const { REVOKE } = proto.Message.ProtocolMessage.Type
    const revoke = { protocolMessage: { type: REVOKE, key: { id: 'X', fromMe: true } } }
    await server.writeToGroup(bob, FAMILY, revoke)
    await server.writeToGroup(alice, FAMILY, revoke)
    await until(() => notebook.deletions.length === 2, 'both arrived')
    assert.deepEqual(
      notebook.deletions.map(({ sender, asAdmin }) => [sender, asAdmin]),
      [
        [bob.pn, false],
        [alice.pn, true],
      ],
    )
  })

test('the assistant edits what it said and reacts to what others said', async (t) => {
  const world = await World.linked(t)
  const { signal } = world
  const { platformId: id } = await world.send(world.alice.pn, 'draft')
  await world.channel.edit({ jid: world.alice.pn, id: id ?? '', text: 'final' }, { idempotencyKey: 'e', signal })
  const edited = world.alice.shown.at(-1)?.message.protocolMessage
  assert.deepEqual([edited?.key?.id, edited?.editedMessage?.extendedTextMessage?.text], [id, 'final'])
  const target = { jid: FAMILY, id: 'M', sender: world.bob.pn, fromMe: false }
  await world.channel.react(target, '❤️', { idempotencyKey: 'r', signal })
  const reaction = world.bob.shown.at(-1)?.message.reactionMessage
  assert.deepEqual([reaction?.text, reaction?.key?.id, reaction?.key?.participant], ['❤️', 'M', world.bob.pn])
})

test('on a shared number the owner is answered too, and the assistant signs with its name', async (t) => {
  const world = await World.linked(t, { settings: { hasOwnNumber: false } })
  const { server, olga, alice } = world
  await server.writeFromPhone(olga, 'note to self')
  const own = await world.heard('note to self')
  assert.deepEqual([own.jid, own.sender, own.fromMe], [olga.pn, olga.pn, true])
  await server.writeFromPhone(olga, 'I say to Alice', alice)
  assert.equal((await world.heard('I say to Alice')).jid, alice.pn)
  await world.send(olga.pn, 'done')
  assert.deepEqual(shownTexts(olga), ['Andy: done'])
  await server.writeFromPhone(olga, 'Andy: as an earlier link would have said')
  await server.writeFromPhone(olga, 'the last')
  await world.heard('the last')
  assert.equal(world.notebook.messages.length, 3)
})

test('on a number of its own, what the account itself writes is nothing to answer', async (t) => {
  const world = await World.linked(t)
  await world.server.writeFromPhone(world.olga, 'typed on its phone', world.alice)
  await world.server.write(world.alice, world.olga, 'hello')
  await world.heard('hello')
  assert.deepEqual(world.notebook.texts, ['hello'])
})

test('a message that could not be decrypted is asked for again and told once', async (t) => {
  const world = await World.linked(t)
  world.server.garbleNext = true
  await world.server.write(world.alice, world.olga, 'garbled at first')
  await world.heard('garbled at first')
  assert.equal(world.notebook.told, 1)
  assert.ok(world.server.heard.some(({ tag, attrs }) => tag === 'receipt' && attrs.type === 'retry'))
})

test('a phone that could not read a message gets it again, also from an assistant that was restarted since', async (t) => {
  const world = await World.linked(t)
  const { platformId: id } = await world.send(world.alice.pn, 'say that again')
  await world.restart()
  await world.online()
  world.alice.shown.length = 0
  await world.server.askAgain(world.alice, world.olga, id ?? '')
  await until(() => shownTexts(world.alice).includes('say that again'), 'it was sent again')
})

test('nothing is marked as read, and the phone still rings', async (t) => {
  const world = await World.linked(t)
  await world.server.write(world.alice, world.olga, 'hello')
  await world.heard('hello')
  await until(() => world.server.unconfirmed(world.olga).length === 0, 'it is confirmed')
  const { heard } = world.server
  assert.ok(!heard.some(({ tag, attrs }) => tag === 'receipt' && attrs.type?.startsWith('read')))
  assert.ok(!heard.some(({ tag, attrs }) => tag === 'presence' && attrs.type === 'available'))
})

test('typing is shown while it is on', async (t) => {
  const world = await World.linked(t)
  const shown = () => world.server.heard.filter(({ tag }) => tag === 'chatstate').map(({ attrs }) => attrs.to)
  world.channel.setTyping(world.alice.pn, true)
  world.channel.setTyping(world.alice.pn, false)
  await until(() => shown().length === 2, 'both were said')
  assert.deepEqual(shown(), [world.alice.pn, world.alice.pn])
})

test('groups are known by their names, and renamed ones are when the host asks', async (t) => {
  const world = await World.linked(t)
  await until(() => world.notebook.names.get(FAMILY) === 'Family', 'the name is there')
  world.server.renameGroup(FAMILY, 'The family')
  await world.channel.syncGroups(world.signal)
  assert.equal(world.notebook.names.get(FAMILY), 'The family')
})

test('the name of a group that is made or renamed is told at once', async (t) => {
  const world = await World.linked(t)
  const { server, alice, notebook } = world
  await until(() => notebook.names.get(FAMILY) === 'Family', 'the name is there')
  const time = seconds()
  server.tellOfGroup(FAMILY, node('subject', { subject: 'The family', s_t: time }))
  await until(() => notebook.names.get(FAMILY) === 'The family', 'the new name is there')
  const made = { id: '120363000000000002', subject: 'The club', creation: time, s_t: time, creator: alice.pn }
  server.tellOfGroup(
    '120363000000000002@g.us',
    node('create', {}, [node('group', made, [node('participant', { jid: alice.pn })])]),
  )
  await until(() => notebook.names.get('120363000000000002@g.us') === 'The club', 'its name is there')
})

test('a new admin of a group is known at once, and the former one is an admin no more', async (t) => {
  const world = await World.linked(t)
  const { server, notebook, alice, bob, olga } = world
  await until(() => notebook.names.get(FAMILY) === 'Family', 'the group is known')
  server.group(FAMILY, 'Family', [bob, alice, olga])
  server.tellOfGroup(FAMILY, node('promote', {}, [node('participant', { jid: bob.pn })]))
  const isAsked = () => server.heard.some(({ attrs }) => attrs.xmlns === 'w:g2' && attrs.to === FAMILY)
  await until(isAsked, 'the group is asked for anew')
  const { REVOKE } = proto.Message.ProtocolMessage.Type
  for (const person of [bob, alice])
    await server.writeToGroup(person, FAMILY, { protocolMessage: { type: REVOKE, key: { id: 'X', fromMe: true } } })
  await until(() => notebook.deletions.length === 2, 'both arrived')
  assert.deepEqual(
    notebook.deletions.map(({ sender, asAdmin }) => [sender, asAdmin]),
    [
      [bob.pn, true],
      [alice.pn, false],
    ],
  )
})

test('the names of groups are asked for once a day, not at each connection', async (t) => {
  const clock = new ManualClock()
  const world = await World.linked(t, { clock })
  const { server, alice, olga, notebook } = world
  const asked = () => server.heard.filter(({ attrs }) => attrs.xmlns === 'w:g2').length
  /** What the device asked before it confirms this, the server has heard by then. */
  const confirm = async (text: string) => {
    await server.write(alice, olga, text)
    await until(() => server.unconfirmed(olga).length === 0, 'it is confirmed')
  }
  await until(() => notebook.names.get(FAMILY) === 'Family', 'the name is there')
  server.renameGroup(FAMILY, 'The family')
  const before = server.connections
  clock.advance(60_000)
  server.endAll(515)
  await until(() => server.connections > before && world.channel.state.state === 'online', 'it is connected anew')
  await confirm('hello')
  clock.advance(24 * 3_600_000 - 60_000 - 1)
  await confirm('soon')
  assert.deepEqual([asked(), notebook.names.get(FAMILY)], [1, 'Family'])
  clock.advance(1)
  await until(() => notebook.names.get(FAMILY) === 'The family', 'the new name is there')
})

test('no key and no word of a message reaches the log', async (t) => {
  const world = await World.linkedAnew(t)
  await world.server.write(world.alice, world.olga, 'a secret word')
  await world.heard('a secret word')
  world.server.garbleNext = true
  await world.server.write(world.alice, world.olga, 'another secret word')
  await world.heard('another secret word')
  assert.doesNotMatch(world.log.join('\n'), /secret word|privKey|<Buffer|[A-Za-z0-9+/]{43}=/)
})
