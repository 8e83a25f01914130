import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Addresses, type Directory, userOf } from './addresses.ts'

const account = { phone: '1000@s.whatsapp.net', lid: '91000@lid' }
const directory: Directory = {
  account,
  phoneOf: (lidUser) => (lidUser === '92000' ? '2000' : undefined),
  lidOf: (phoneUser) => (phoneUser === '2000' ? '92000' : undefined),
}

function addresses({ registered = [], known = directory }: { registered?: string[]; known?: Directory } = {}): Addresses {
  return new Addresses(known, (jid) => registered.includes(jid))
}

test('a person is called by the phone number, where the message or WhatsApp tells it, and else by the LID', () => {
  const cases: [string, string | undefined, string][] = [
    ['2000@s.whatsapp.net', undefined, '2000@s.whatsapp.net'],
    ['2000:7@s.whatsapp.net', undefined, '2000@s.whatsapp.net'],
    ['92000@lid', undefined, '2000@s.whatsapp.net'],
    ['92000:7@lid', undefined, '2000@s.whatsapp.net'],
    ['93000@lid', '3000@s.whatsapp.net', '3000@s.whatsapp.net'],
    ['3000@s.whatsapp.net', '93000@lid', '3000@s.whatsapp.net'],
    ['93000@lid', undefined, '93000@lid'],
    ['91000@lid', undefined, '1000@s.whatsapp.net'],
  ]
  for (const [jid, alt, name] of cases) {
    assert.equal(addresses().person(jid, alt), name)
    assert.equal(addresses().chat(jid, alt), name)
  }
})

test('a chat is called by the name that it was registered by, whichever of the two that is', () => {
  const names = ['2000@s.whatsapp.net', '92000@lid']
  for (const registered of names)
    for (const jid of names) assert.equal(addresses({ registered: [registered] }).chat(jid), registered)
  assert.equal(addresses({ registered: ['93000@lid'] }).chat('3000@s.whatsapp.net', '93000@lid'), '93000@lid')
  assert.equal(addresses({ registered: names }).chat('92000@lid'), '2000@s.whatsapp.net')
  assert.equal(addresses({ registered: ['92000@lid'] }).person('92000@lid'), '2000@s.whatsapp.net')
})

test('a group has one name', () => {
  assert.equal(addresses().chat('120363@g.us'), '120363@g.us')
  assert.equal(addresses().person('120363@g.us'), '120363@g.us')
})

test('the account is known by both names, of whatever device, and nobody is it before there is one', () => {
  const me = ['1000@s.whatsapp.net', '1000:7@s.whatsapp.net', '91000@lid', '91000:7@lid']
  for (const jid of me) assert.ok(addresses().isMe(jid), jid)
  for (const jid of ['2000@s.whatsapp.net', '91000@s.whatsapp.net', '']) assert.ok(!addresses().isMe(jid), jid)
  for (const jid of [...me, '']) assert.ok(!addresses({ known: { ...directory, account: undefined } }).isMe(jid), jid)
  assert.equal(addresses({ known: { ...directory, account: undefined } }).person('91000@lid'), '91000@lid')
})

test('a user is what stands before the device and the server', () => {
  const users = ['2000:7@s.whatsapp.net', '92000@lid', 'no address'].map(userOf)
  assert.deepEqual(users, ['2000', '92000', 'no address'])
})
